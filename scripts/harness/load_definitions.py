"""What central computes in analytics-load: 50 windows over 10,000 keys each, 20 patterns, 20 alerts.

Events (weir-bench load --keys): 12 types in turn, 10,000 vehicles drawn evenly as keys, an amount of 100 to 999. At 100,000 events/s each
type has 8,333 events/s, each vehicle 10.

Windows, four for each type and two over all of violation.*: of lengths 1 min, 5 min, 15 min, 1 h, 6 h, 24 h, sliding (5 min by the minute) and
sessions (30 s), all by vehicle. Some take only events whose amount is large, some keep percentiles. An event is counted in about 5 of
them. Patterns look at the tenth or fiftieth part of a type with the largest amounts: three within a minute, one that is not validated, one
after another; an event is in about one.
"""

TYPES = ["violation.submitted", "violation.validated", "violation.rejected", "violation.stored", "violation.approved",
         "violation.status-changed", "violation.payment-processed", "violation.reward-requested", "violation.camera-reading",
         "violation.citation", "ride.started", "sensor.reading"]
KEYS = 10_000
SHAPES = ["length_s = 60", "length_s = 300", "length_s = 900", "length_s = 3600", "length_s = 21600", "length_s = 86400",
          "length_s = 300\nstep_s = 60", "gap_s = 30"]


def window(number, condition):
    shape = SHAPES[number % len(SHAPES)]
    is_session = shape.startswith("gap")
    if is_session:
        condition += " && data.amount > 900"
    elif number % 5 == 4:
        condition += " && data.amount > 500"
    lines = ["[[windows]]", f'name = "w{number}"', f"when = '{condition}'", 'value = "data.amount"', shape,
             f"lateness_s = {60 if 'length_s = 60' in shape or is_session else 300}", f"keys_max = {2 * KEYS}"]
    if number % 16 == 1:
        lines.append('percentiles = ["50", "99"]')
    if not is_session:
        lines.append("spread_ms = 1000")
    return "\n".join(lines)


def pattern(number):
    kind = TYPES[number % len(TYPES)]
    if number < 12:
        text = f"3 x a within 60s by key\na: type == \"{kind}\" && data.amount > 980"
    elif number < 16:
        text = (f"a -> !b within 10s by key\na: type == \"{kind}\" && data.amount > 980\n"
                f"b: type == \"{TYPES[(number + 1) % len(TYPES)]}\" && data.amount > 500")
    else:
        text = (f"a -> b within 30s by key\na: type == \"{kind}\" && data.amount > 980\n"
                f"b: type == \"{TYPES[(number + 2) % len(TYPES)]}\" && data.amount > 980")
    return f"[[patterns]]\nname = \"p{number}\"\nkeys_max = {2 * KEYS}\npattern = '''\n{text}\n'''"


def alert(number):
    if number < 10:  # on windows of 1 and 5 min and sliding ones
        on, more = f"window.w{8 * (number // 3) + (0, 1, 6)[number % 3]}", f'raise = "data.count > {78 if number % 3 == 0 else 315}"'
    else:
        on, more = f"pattern.p{number - 10}", "stale_s = 60"
    return f'[[alerts]]\nname = "a{number}"\non = "{on}"\n{more}\nkeys_max = {KEYS}\ngroup = "g{number}"'


def text():
    windows = [window(number, f'type == "{TYPES[number % 12]}"' if number < 48 else 'type like "violation.*"') for number in range(50)]
    return "\n".join(["[analytics]", "disorder_ms = 200", *windows, *map(pattern, range(20)), *map(alert, range(20))]) + "\n"


if __name__ == "__main__":
    print(text())
