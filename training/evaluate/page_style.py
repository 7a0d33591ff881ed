"""The style sheet of the report."""

STYLE = """
:root { color-scheme: light; --ink: #1f2937; --soft: #6b7280; --line: #e5e7eb; --blue: #2f6db3; --pale: #a9c6e6; }
* { box-sizing: border-box; }
body { margin: 0; background: #f6f7f9; color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { margin: 0; font-size: 30px; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 0 0 14px; font-size: 19px; }
header p { margin: 6px 0 22px; color: var(--soft); }
header b { color: var(--ink); }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 20px 22px; margin: 18px 0; }
small, .aside, figcaption { color: var(--soft); }
small { font-size: 12.5px; white-space: nowrap; }
.aside { font-size: 13.5px; margin: 12px 0 0; max-width: 76ch; }
.cards { list-style: none; padding: 0; margin: 0; display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); }
.cards li { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px; }
.cards span { display: block; color: var(--soft); font-size: 13.5px; }
.cards b { font-size: 30px; margin-right: 8px; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; font-size: 13px; color: var(--soft); }
th, td { padding: 7px 14px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child td { border-bottom: 0; }
td { overflow-wrap: anywhere; min-width: 92px; }
.bar { position: relative; height: 7px; min-width: 110px; margin-top: 4px; border-radius: 4px; background: #eef0f3; }
.bar i { position: absolute; inset: 0 auto 0 0; border-radius: 4px; background: var(--blue); }
.bar.pale i { background: var(--pale); }
.bar u { position: absolute; top: 3px; height: 1px; background: #111827; }
.bar u::before, .bar u::after { content: ""; position: absolute; top: -2px; width: 1px; height: 5px;
  background: #111827; }
.bar u::before { left: 0; } .bar u::after { right: 0; }
.pair { display: grid; gap: 26px; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); }
figure { margin: 0; } figcaption { font-size: 13.5px; margin-top: 6px; } figcaption b { color: var(--ink); }
svg { width: 100%; max-width: 400px; display: block; font: 11px system-ui, sans-serif; fill: var(--soft); }
svg .grid { stroke: var(--line); } svg .true { stroke: #9ca3af; stroke-dasharray: 4 4; }
svg .whisker { stroke: var(--blue); stroke-width: 1.5; opacity: .5; }
svg circle { fill: var(--blue); } svg .count { fill: #cbd5e1; }
.confusion { max-width: 100%; height: auto; display: block; margin: 0 auto 12px; }
summary { cursor: pointer; color: var(--blue); margin: 8px 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 5px 18px; margin: 12px 0 0; font-size: 13.5px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
section > ul { margin: 0; padding-left: 18px; font-size: 13.5px; overflow-wrap: anywhere; }
code { font: 13px ui-monospace, monospace; background: #f3f4f6; padding: 1px 5px; border-radius: 4px; }
@media print { body { background: #fff; } section { break-inside: avoid; border: 0; padding: 8px 0; } }
"""
