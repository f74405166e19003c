#!/usr/bin/env python3
"""Finds a provider's name in code that must know none.

A provider is one YAML file; Rust that names one is a rule in the wrong place. Comments, tests, the simulator, the demo and the
benches may name it. Usage: provider-names.py CRATES_FOLDER [NAME...]; prints each finding and exits 1 if there is one. Without names
they are those of the files in the folder `integrations` beside CRATES_FOLDER.
"""

import re
import sys
from pathlib import Path

# Crates that are about one provider, or for tests alone.
EXEMPT_CRATES = re.compile(r"^(twilio-sim|testkit|bench.*)$")

# Names that code may need as words: of these only a string literal that is the name counts.
ORDINARY_WORDS = frozenset(
    "bird clay close drift front intercom lever linear mercury notion outreach plain ramp render resend segment sentry"
    " square".split()
)

# Words of the HTTP API that hold such a name and are not ours to choose: they come from Nango's.
FOREIGN_WORDS = re.compile(r'"refresh_github_app_jwt_token"')

TOKEN = re.compile(
    r"""
    (?P<line>//[^\n]*)
  | (?P<block>/\*)
  | (?P<raw>\b(?:b|c)?r(?P<hashes>\#*)".*?"(?P=hashes))
  | (?P<string>(?:\b[bc])?"(?:\\.|[^"\\])*")
  | (?P<char>(?:\bb)?'(?:\\(?:u\{[^}]*\}|x..|.)|[^'\\\n])')
    """,
    re.VERBOSE | re.DOTALL,
)
TEST_ATTRIBUTE = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*")
MODULE_FILE = re.compile(r"(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;")


def blank(text):
    """As many characters and lines, and nothing in them."""
    return re.sub(r"[^\n]", " ", text)


def block_comment_end(text, start):
    """Where the block comment at `start` ends; they nest."""
    depth, at = 0, start
    for mark in re.finditer(r"/\*|\*/", text[start:]):
        depth += 1 if mark.group() == "/*" else -1
        at = start + mark.end()
        if depth == 0:
            return at
    return len(text)


def without_comments(text):
    """The code with its comments blanked, and the same with its literals blanked too."""
    code, bare, at = [], [], 0
    while token := TOKEN.search(text, at):
        before = text[at : token.start()]
        end = block_comment_end(text, token.start()) if token.group("block") else token.end()
        found = text[token.start() : end]
        comment = token.group("line") or token.group("block")
        code += [before, blank(found) if comment else found]
        bare += [before, blank(found)]
        at = end
    return "".join(code) + text[at:], "".join(bare) + text[at:]


def item_end(bare, start):
    """Where the item at `start` ends: after its `;` or the brace that closes it."""
    depth = 0
    for mark in re.finditer(r"[{}()\[\];]", bare[start:]):
        character = mark.group()
        depth += (character in "{([") - (character in "})]")
        if depth == 0 and character in ";}":
            return start + mark.end()
    return len(bare)


def test_modules(path, code, bare):
    """The code with its test items blanked, and the files that are test modules of this one."""
    files, at = [], 0
    folder = path.parent if path.stem in ("lib", "main", "mod") else path.with_suffix("")
    while attribute := TEST_ATTRIBUTE.search(bare, at):
        end = item_end(bare, attribute.end())
        if module := MODULE_FILE.match(bare, attribute.end()):
            files += [folder / f"{module.group(1)}.rs", folder / module.group(1)]
        code = code[: attribute.start()] + blank(code[attribute.start() : end]) + code[end:]
        at = end
    return code, files


def may_name(path, crates):
    crate, *rest = path.relative_to(crates).parts
    shown = any(part.startswith("demo") or part == "examples.rs" for part in rest)
    demo = crate == "trunkline" and rest[0] == "src" and shown
    return bool(EXEMPT_CRATES.match(crate)) or rest[0] in ("tests", "benches", "examples") or demo


def pattern(names):
    """What counts as one of the names, in code whose comments are blanked."""
    spelled = [f'"{re.escape(name)}"' if name in ORDINARY_WORDS else re.escape(name) for name in names]
    return re.compile("|".join(spelled), re.IGNORECASE)


def main():
    crates = Path(sys.argv[1])
    given = sys.argv[2:] or sorted(file.stem for file in (crates.parent / "integrations").glob("*.yaml"))
    if not given:
        sys.exit("there are no providers to look for")
    names = pattern(given)
    sources, tests = {}, set()
    for path in sorted(crates.rglob("*.rs")):
        sources[path], files = test_modules(path, *without_comments(path.read_text()))
        tests.update(files)

    findings = 0
    for path, code in sources.items():
        if may_name(path, crates) or not tests.isdisjoint([path, *path.parents]):
            continue
        for number, line in enumerate(code.splitlines(), 1):
            if names.search(FOREIGN_WORDS.sub("", line)):
                findings += 1
                print(f"{path}:{number}: {line.strip()}")
    print(f"{len(given)} names, {len(sources)} files, {findings} findings")
    sys.exit(bool(findings) or not sources)


if __name__ == "__main__":
    main()
