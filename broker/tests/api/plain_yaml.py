"""plain_yaml.py - the plainest YAML, as docs/openapi.yaml is written in it.

Mappings, lists, `[a, b]`, 'quoted' and plain scalars, true/false/integers, blocks behind `|`, and
comments on their own line. Anything else is refused with its line number, never guessed. (The
driver may use no YAML library.)
"""

import re


class Error(Exception):
    pass


def load(text):
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        # Empty lines matter within blocks only; a comment has the line for itself.
        lines.append((number, len(line) - len(line.lstrip(" ")), line.strip()))
    reader = _Reader(lines)
    value = reader.value(0)
    reader.skip()
    if reader.at < len(lines):
        raise Error("line %d: not expected here" % lines[reader.at][0])
    return value


class _Reader:
    def __init__(self, lines):
        self.lines = lines
        self.at = 0

    def skip(self):
        while self.at < len(self.lines) and (not self.lines[self.at][2] or
                                             self.lines[self.at][2].startswith("#")):
            self.at += 1

    def peek(self, indent):
        """The next line that counts, when it stands at this indent."""
        self.skip()
        if self.at < len(self.lines) and self.lines[self.at][1] == indent:
            return self.lines[self.at]
        return None

    def value(self, indent):
        first = self.peek(indent)
        if first is None:
            raise Error("line %d: a value is missing" % self.lines[min(self.at,
                                                                       len(self.lines) - 1)][0])
        return self.sequence(indent) if first[2].startswith("- ") else self.mapping(indent)

    def mapping(self, indent):
        result = {}
        while self.peek(indent) and not self.peek(indent)[2].startswith("- "):
            number, _, text = self.peek(indent)
            found = re.match(r"('[^']*'|[^'\"\[{&*!|>%@`][^:]*):(?: (.*))?$", text)
            if not found:
                raise Error("line %d: not `key: value`: %s" % (number, text))
            key = found.group(1).strip("'")
            if key in result:
                raise Error("line %d: key %r is there twice" % (number, key))
            self.at += 1
            rest = (found.group(2) or "").strip()
            if rest == "|":
                result[key] = self.block(indent)
            elif rest:
                result[key] = _scalar(rest, number)
            else:
                self.skip()
                deeper = self.lines[self.at][1] if self.at < len(self.lines) else 0
                if deeper <= indent:
                    raise Error("line %d: nothing is below the key %r" % (number, key))
                result[key] = self.value(deeper)
        return result

    def sequence(self, indent):
        result = []
        while self.peek(indent) and self.peek(indent)[2].startswith("- "):
            number, _, text = self.peek(indent)
            text = text[2:]
            if re.match(r"[\w$-]+:( |$)", text):
                self.lines[self.at] = (number, indent + 2, text)
                result.append(self.mapping(indent + 2))
            else:
                self.at += 1
                result.append(_scalar(text, number))
        return result

    def block(self, indent):
        result = []
        while self.at < len(self.lines) and (not self.lines[self.at][2] or
                                             self.lines[self.at][1] > indent):
            result.append(self.lines[self.at][2])
            self.at += 1
        return "\n".join(result).strip("\n") + "\n"


def _scalar(text, number):
    if text.startswith("[") and text.endswith("]"):
        return [_scalar(part.strip(), number) for part in text[1:-1].split(",") if part.strip()]
    if text.startswith("'"):
        if not text.endswith("'") or "'" in text[1:-1].replace("''", ""):
            raise Error("line %d: a quote is not closed: %s" % (number, text))
        return text[1:-1].replace("''", "'")
    if text[0] in "\"{&*!|>%@`[" or ": " in text or " #" in text or text.endswith(":"):
        raise Error("line %d: put it in single quotes: %s" % (number, text))
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return text
