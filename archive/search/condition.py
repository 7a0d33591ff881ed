"""What a condition may be made of, told by DuckDB's parse of it.

DuckDB's limit of memory does not hold for values that a function makes, such as a text of a gigabyte. So only those
functions are let in whose values are about as long as what they are given, however they are nested.
"""

from collections.abc import Iterator
from typing import Any

OPERATORS = (
    "+ - * / // % ** ^ & | ~ << >> @ || ~~ !~~ ~~* !~~* ~~~ ~ !~ ^@ && @> <@ like_escape not_like_escape "
    "ilike_escape not_ilike_escape list_value array_value row if ifnull nullif coalesce"
)
NUMBERS = (
    "abs ceil ceiling exp floor fmod greatest isfinite isinf isnan least ln log log10 log2 mod pow power round sign "
    "sqrt trunc"
)
TEXTS = (
    "array_slice char_length character_length concat contains ends_with instr lcase left length levenshtein like lower "
    "ltrim position prefix regexp_extract regexp_full_match regexp_matches reverse right rtrim split_part "
    "starts_with strip_accents strlen strpos substr substring suffix trim ucase upper"
)
TIMES = (
    "age current_date current_timestamp date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc "
    "day dayname dayofmonth dayofweek dayofyear epoch epoch_ms get_current_timestamp hour isodow isoyear last_day "
    "make_date make_time make_timestamp minute month monthname now quarter second strftime strptime timezone "
    "to_days to_hours to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years "
    "to_microseconds to_centuries to_decades today transaction_timestamp try_strptime week weekday weekofyear year "
    "yearweek"
)
LISTS = (
    "array_contains array_extract array_has array_has_all array_has_any array_indexof array_length array_position "
    "len list_contains list_element list_extract list_has list_has_all list_has_any list_indexof list_position "
    "list_slice"
)
FUNCTIONS = frozenset(" ".join((OPERATORS, NUMBERS, TEXTS, TIMES, LISTS)).split())
_TYPES = (
    "BOOL BOOLEAN TINYINT SMALLINT INT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT FLOAT REAL DOUBLE "
    "DECIMAL NUMERIC VARCHAR TEXT STRING CHAR DATE TIME TIMESTAMP TIMESTAMPTZ INTERVAL"
)
TYPES = frozenset([*_TYPES.split(), "TIMESTAMP WITH TIME ZONE"])
MOST_CASTS = 4
"""Within each other: text that is made of lists of text is longer than these."""
_CLASSES = "COLUMN_REF CONSTANT COMPARISON CONJUNCTION OPERATOR CAST CASE BETWEEN FUNCTION COLLATE TYPE"
_REFUSED = {
    "SUBQUERY": "a query of its own",
    "WINDOW": "a window",
    "STAR": "*",
    "PARAMETER": "a parameter",
    "LAMBDA": "a function of its own",
}


def fault_of(tree: Any) -> str:
    """Why a parsed expression is no condition on a clip; "" if it may be one."""
    faults = (_fault(node) for node in nodes(tree))
    if fault := next(filter(None, faults), ""):
        return fault
    if (casts := _nested_casts(tree)) > MOST_CASTS:
        return f"has {casts} casts within each other; expected at most {MOST_CASTS}"
    return ""


def _fault(node: dict[str, Any]) -> str:
    kind = str(node.get("class", "CONSTANT"))
    if kind not in _CLASSES.split():
        return f"has {_REFUSED.get(kind, kind.lower())}; expected only comparisons of columns and values"
    if kind == "FUNCTION" and str(node["function_name"]).lower() not in FUNCTIONS:
        return (
            f"has the function {node['function_name']}; expected those of numbers, texts, times and lists that make "
            "nothing large, such as round, lower, contains, regexp_matches, date_part or len"
        )
    if kind == "CAST" and _type_of(node).upper() not in TYPES:
        return f"has a cast to {_type_of(node)}; expected a plain type, such as INTEGER, DOUBLE, VARCHAR or TIMESTAMP"
    return ""


def _type_of(cast: dict[str, Any]) -> str:
    """The type that a cast leads to: of DuckDB 2 as it is written, of DuckDB 1 as it is understood."""
    type_name: str = cast["type_expr"]["type_name"] if "type_expr" in cast else cast["cast_type"]["id"]
    return type_name


def _nested_casts(tree: Any) -> int:
    if isinstance(tree, dict):
        return int(tree.get("class") == "CAST") + max(map(_nested_casts, tree.values()), default=0)
    return max(map(_nested_casts, tree), default=0) if isinstance(tree, list) else 0


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object in parsed JSON."""
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    for each in tree if isinstance(tree, list) else ():
        yield from nodes(each)
