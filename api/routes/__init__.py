"""One file per kind of resource; each route declares its scope by the type of its `call`."""
