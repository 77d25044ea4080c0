#!/usr/bin/env python3
"""Computes the report of the flow `flights` independently, from the same file: recompute.py data/flights-5k.json"""

import json
import sys
from collections import Counter


def tenths(part: int, whole: int) -> str:
    """part / whole with one decimal, halves rounded away from zero."""
    rounded = (abs(part) * 20 + whole) // (2 * whole)
    return f"{'-' if part < 0 and rounded else ''}{rounded // 10}.{rounded % 10}"


def line(hour: str, flights: int, delays: list[int], busiest: str) -> str:
    late = sum(delay >= 15 for delay in delays)
    mean, share = tenths(sum(delays), flights), tenths(100 * late, flights)
    return f"{hour:<4} {flights:>7} {mean:>6} {max(delays):>6} {share:>6}  {busiest}".rstrip()


rows = json.load(open(sys.argv[1], encoding="utf-8"))
print(f"{'hour':<4} {'flights':>7} {'mean':>6} {'worst':>6} {'late %':>6}  busiest")
for hour in sorted({row["date"][11:13] for row in rows}):
    group = [row for row in rows if row["date"][11:13] == hour]
    airport, count = min(Counter(row["origin"] for row in group).items(), key=lambda item: (-item[1], item[0]))
    print(line(hour, len(group), [row["delay"] for row in group], f"{airport} {count}"))
print(line("all", len(rows), [row["delay"] for row in rows], ""))
