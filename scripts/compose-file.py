#!/usr/bin/env python3
"""Checks docker-compose.yml without a Docker: that it parses, hangs together, and sets what the program reads.

Usage: compose-file.py COMPOSE_FILE ENV_EXAMPLE [VARIABLES], the last a file with what `trunkline config --variables` prints; without
it that one comparison is left out. Prints each finding and exits 1 if there is one.
"""

import re
import sys
from pathlib import Path

import yaml

SECRETS = {"POSTGRES_PASSWORD", "TRUNKLINE_ENCRYPTION_KEY", "TRUNKLINE_SECRET_KEY"}
REFERENCE = re.compile(r"\$\{(\w+)(:\?[^}]+)?")


def shape(text, example):
    """What is wrong with the file in itself, and beside the example of its variables."""
    document = yaml.safe_load(text)
    services, volumes = document["services"], document.get("volumes", {})
    for name, service in services.items():
        if not {"image", "build"} & service.keys():
            yield f"service {name} has neither an image nor a build"
        for other, waits in service.get("depends_on", {}).items():
            if other not in services:
                yield f"service {name} depends on {other}, which is not there"
            elif waits["condition"] == "service_healthy" and "test" not in services[other].get("healthcheck", {}):
                yield f"service {name} waits for the health of {other}, which has no check"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.isidentifier() and source not in volumes:
                yield f"service {name} mounts {source}, which is not declared"

    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    references = REFERENCE.findall("\n".join(lines))
    for variable, required in references:
        if variable in SECRETS and not required:
            yield f"{variable} is a secret and must be required, with a message"
    named = {variable for variable, _ in references}
    exampled = set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    for variable in sorted(named ^ exampled):
        yield f"{variable} stands in only one of the compose file and its example of an environment"


def variables(text, known):
    """The settings that a service is given and the program does not read."""
    for name, service in yaml.safe_load(text)["services"].items():
        for variable in service.get("environment", {}):
            if variable.startswith("TRUNKLINE_") and variable not in known:
                yield f"service {name} sets {variable}, which the program does not read"


def main():
    compose, example, *known = (Path(argument).read_text() for argument in sys.argv[1:])
    findings = list(shape(compose, example))
    for names in known:
        findings += variables(compose, set(names.split()))
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
