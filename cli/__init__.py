"""The command line: parse, open the runtime, call one service, print."""
