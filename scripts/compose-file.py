#!/usr/bin/env python3
"""Checks docker-compose.yml without Docker: its syntax, its references, and its settings.

Usage: compose-file.py COMPOSE_FILE ENV_EXAMPLE [VARIABLES], where VARIABLES is a file with the output of `trunkline config
--variables`. Without it, the settings are not checked. Prints each finding and exits 1 if there is one.
"""

import re
import sys
from pathlib import Path

import yaml

SECRETS = {"POSTGRES_PASSWORD", "TRUNKLINE_ENCRYPTION_KEY", "TRUNKLINE_SECRET_KEY"}
REFERENCE = re.compile(r"\$\{(\w+)(:\?[^}]+)?")


def shape(text, example):
    """Yields errors of the compose file, alone and compared with the example of its variables."""
    document = yaml.safe_load(text)
    services, volumes = document["services"], document.get("volumes", {})
    for name, service in services.items():
        if not {"image", "build"} & service.keys():
            yield f"service {name} has neither an image nor a build"
        for other, waits in service.get("depends_on", {}).items():
            if other not in services:
                yield f"service {name} depends on {other}, which does not exist"
            elif waits["condition"] == "service_healthy" and "test" not in services[other].get("healthcheck", {}):
                yield f"service {name} waits for {other} to be healthy, which has no health check"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.isidentifier() and source not in volumes:
                yield f"service {name} mounts {source}, which is not declared"

    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    references = REFERENCE.findall("\n".join(lines))
    for variable, required in references:
        if variable in SECRETS and not required:
            yield f"{variable} is a secret: require it with a message (`${...:?...}`)"
    named = {variable for variable, _ in references}
    exampled = set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    for variable in sorted(named ^ exampled):
        yield f"{variable} is in only one of the compose file and the example environment file"


def variables(text, known):
    """Yields settings of services that the program does not read."""
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
