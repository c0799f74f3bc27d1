"""The examples below a command's help."""


def examples(command: str, *words: str) -> str:
    """Give them as Markdown: `wpool COMMAND` with each of the words."""
    return "**Examples**\n\n" + "\n\n".join(f"    wpool {command} {one}" for one in words) + "\n"
