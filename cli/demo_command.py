"""demo"""


def demo_command() -> None: ...
