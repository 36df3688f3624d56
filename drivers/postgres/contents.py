"""What a database holds, as digests: two servers' databases can then be compared without moving them.

A table's digest is the number of its rows and a sum over a 64-bit hash of each row's text, so it does not depend on the order of rows. It
proves that a restore is complete and right; what travels is protected by a SHA-256 of its own. PostgreSQL's own hash is five times as fast
as MD5; it is the same on servers of the same major version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Ask = Callable[[str], list[Any]]
"""Runs statements in the database in question: :meth:`.server.Session.ask`, or :meth:`.server.Server.ask` with its database."""

CHATTER = frozenset({"public.auditlog", "public.eventlog"})
"""Tables that change all the time and of which nobody restores a row."""

# Neither system catalogs nor other sessions' temporary tables.
_OWN = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"
_RELATIONS = f"""
SELECT jsonb_build_array(n.nspname, c.relname, c.relkind, quote_ident(n.nspname) || '.' || quote_ident(c.relname))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'S') AND c.relpersistence = 'p' AND {_OWN} ORDER BY n.nspname, c.relname;
"""  # noqa: S608  # constants

# Access lists are spelled out, because "never granted anything" is stored as NULL and comes back spelled out.
_SCHEMA = f"""
SELECT to_jsonb(x) FROM (
SELECT 'relation' AS what, n.nspname::text AS place, c.relname::text AS name, c.relkind::text AS a, pg_get_userbyid(c.relowner)::text AS b,
  (SELECT string_agg(g::text, ' ' ORDER BY g::text) FROM (SELECT coalesce(r.rolname, 'PUBLIC') || '=' || e.privilege_type AS g
    FROM aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) e
    LEFT JOIN pg_roles r ON r.oid = e.grantee) AS granted) AS d
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'm', 'S', 'v') AND c.relpersistence = 'p' AND {_OWN}
UNION ALL
SELECT 'column', n.nspname, c.relname, lpad((row_number() OVER (PARTITION BY c.oid ORDER BY t.attnum))::text, 5, '0') || ' ' || t.attname,
  format_type(t.atttypid, t.atttypmod) || CASE WHEN t.attnotnull THEN ' not null' ELSE '' END, pg_get_expr(f.adbin, f.adrelid)
  FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attrdef f ON f.adrelid = t.attrelid AND f.adnum = t.attnum
  WHERE t.attnum > 0 AND NOT t.attisdropped AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND {_OWN}
UNION ALL
SELECT 'index', n.nspname, c.relname, pg_get_indexdef(i.indexrelid), CASE WHEN i.indisvalid THEN 'valid' ELSE 'invalid' END, NULL
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND {_OWN}
UNION ALL
SELECT 'constraint', n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid), NULL
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE k.contype <> 'n' AND {_OWN}
UNION ALL
SELECT 'schema', n.nspname, '', pg_get_userbyid(n.nspowner), (SELECT string_agg(g, ' ' ORDER BY g) FROM (
    SELECT coalesce(r.rolname, 'PUBLIC') || '=' || e.privilege_type AS g
    FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) e LEFT JOIN pg_roles r ON r.oid = e.grantee) AS granted), NULL
  FROM pg_namespace n WHERE {_OWN}
) x ORDER BY what, place, name, a;
"""  # noqa: S608  # constants

# An alias no column has: "t" might be one, and would then be taken for it.
_ROWS = """
SELECT jsonb_build_array({label}, count(*), coalesce(sum(hashtextextended("a row"::text, 0)::numeric), 0)::text)
FROM ONLY {name} AS "a row";
"""
_SEQUENCE = "SELECT jsonb_build_array({label}, 1, last_value::text || ' ' || is_called::text) FROM {name};\n"
_DIGESTS = """
SELECT jsonb_build_array({label}, coalesce(jsonb_agg(left(md5("a row"::text), 16)), '[]')) FROM ONLY {name} AS "a row";
"""


class Digest(NamedTuple):
    """Of one table or sequence: number of rows, and a word for all of them."""

    rows: int
    word: str


class Contents(NamedTuple):
    """Of a database.

    Attributes:
        tables: ``schema.table`` -> its digest; sequences are among them.
        schema: a word for tables, columns, indexes, constraints, owners and grants.
    """

    tables: Mapping[str, Digest]
    schema: str

    @property
    def id(self) -> str:
        """Equal for equal contents, and for nothing else."""
        lines = "".join(f"{name} {digest.rows} {digest.word}\n" for name, digest in sorted(self.tables.items()))
        return hashlib.sha256(f"{self.schema}\n{lines}".encode("utf-8", "surrogateescape")).hexdigest()[:20]

    def difference(self, other: Contents) -> str:
        """The first thing in which two databases differ, in words; empty if nothing does."""
        for name in sorted({*self.tables, *other.tables}):
            left, right = self.tables.get(name), other.tables.get(name)
            if left is None or right is None:
                return f"{name} is only in one of them"
            if left.rows != right.rows:
                return f"{name} has {right.rows} rows instead of {left.rows}"
            if left.word != right.word:
                return f"the rows of {name} differ"
        return "" if self.schema == other.schema else "columns, indexes, owners or grants differ"


def _literal(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"E'{doubled}'" if "\\" not in doubled else "E'" + doubled.replace("\\", "\\\\") + "'"


def look(ask: Ask) -> Contents:
    """Read the whole database; changes nothing. Whatever cannot be read raises, so it also proves that every row can be."""
    found = ask(_RELATIONS + _SCHEMA)
    statements = [
        (_SEQUENCE if kind == "S" else _ROWS).format(label=_literal(f"{schema}.{table}"), name=name)
        for schema, table, kind, name in (line for line in found if isinstance(line, list))
    ]
    answers = ask("".join(statements)) if statements else []
    tables = {str(name): Digest(int(rows), str(word)) for name, rows, word in answers}
    facts = [line for line in found if isinstance(line, dict)]
    return Contents(tables, hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20])


def digests_of_rows(ask: Ask) -> Mapping[str, list[str]]:
    """Table -> a digest of each of its rows, without those of :data:`CHATTER`; the schema is left out of the name if it is ``public``."""
    wanted = [(f"{schema}.{table}", name) for schema, table, kind, name in ask(_RELATIONS) if kind != "S"]
    statements = [_DIGESTS.format(label=_literal(label), name=name) for label, name in wanted if label not in CHATTER]
    answers = ask("".join(statements)) if statements else []
    return {str(label).removeprefix("public."): sorted(map(str, digests)) for label, digests in answers}
