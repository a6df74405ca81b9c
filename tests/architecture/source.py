"""What do our own modules import, and where? Asked by the architecture tests; reads files, imports nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("portal", "integrations", "billing", "alerts")


@dataclass(frozen=True)
class Import:
    """`where` is the file and line, `inside` the function around it ("" at module top)."""

    module: str
    names: tuple[str, ...]
    where: str
    inside: str

    def is_of(self, package: str) -> bool:
        return any(
            name == package or name.startswith(f"{package}.")
            for name in (self.module, *(f"{self.module}.{name}" for name in self.names))
        )


def modules(*folders: str) -> list[Path]:
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path.relative_to(ROOT) for path in found)


def name_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


@cache
def imports_of(path: Path) -> tuple[Import, ...]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))
    return tuple(_walk(tree, path, inside=""))


def _walk(node: ast.AST, path: Path, *, inside: str) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        where = f"{path}:{getattr(child, 'lineno', 0)}"
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, (), where, inside)
        elif isinstance(child, ast.ImportFrom):
            names = tuple(alias.name for alias in child.names)
            yield Import(_absolute(child, path), names, where, inside)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _walk(child, path, inside=child.name)
        else:
            yield from _walk(child, path, inside=inside)


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    if not node.level:
        return node.module or ""
    package = path.parent.parts[: len(path.parent.parts) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])
