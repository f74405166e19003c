#!/usr/bin/env python3
"""Finds provider names in product code.

A provider is one YAML file, so code that names a provider has a rule in the wrong place. Comments, tests, the simulator, the demo and
the benchmarks may name providers. Usage: provider-names.py CRATES_FOLDER [NAME...]. Prints each finding and exits 1 if there is one.
The default names are those of the files in the folder `integrations` beside CRATES_FOLDER.
"""

import re
import sys
from pathlib import Path

# Crates for one provider, or only for tests.
EXEMPT_CRATES = re.compile(r"^(twilio-sim|testkit|bench.*)$")

# Names that are also ordinary words: only a string literal that equals the name counts.
ORDINARY_WORDS = frozenset(
    "bird clay close drift front intercom lever linear mercury notion outreach plain ramp render resend segment sentry"
    " square".split()
)

# Words of the HTTP API with such a name, which Nango defines.
FOREIGN_WORDS = re.compile(r"refresh_github_app_jwt_token")

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
    """Replaces every character except line breaks by a space."""
    return re.sub(r"[^\n]", " ", text)


def block_comment_end(text, start):
    """Returns the end of the block comment at `start`. Block comments nest."""
    depth, at = 0, start
    for mark in re.finditer(r"/\*|\*/", text[start:]):
        depth += 1 if mark.group() == "/*" else -1
        at = start + mark.end()
        if depth == 0:
            return at
    return len(text)


def without_comments(text):
    """Returns the code with blanked comments, and the code with blanked comments and literals."""
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
    """Returns the end of the item at `start`: after its `;` or its closing brace."""
    depth = 0
    for mark in re.finditer(r"[{}()\[\];]", bare[start:]):
        character = mark.group()
        depth += (character in "{([") - (character in "})]")
        if depth == 0 and character in ";}":
            return start + mark.end()
    return len(bare)


def test_modules(path, code, bare):
    """Returns the code with blanked test items, and the files of its test modules."""
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
    """Returns a pattern of the names, for code with blanked comments."""
    spelled = [f'"{re.escape(name)}"' if name in ORDINARY_WORDS else re.escape(name) for name in names]
    return re.compile("|".join(spelled), re.IGNORECASE)


def main():
    crates = Path(sys.argv[1])
    given = sys.argv[2:] or sorted(file.stem for file in (crates.parent / "integrations").glob("*.yaml"))
    if not given:
        sys.exit("no provider names: the folder integrations is empty")
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
