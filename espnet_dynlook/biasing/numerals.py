"""Numbers in digits as the words that say them."""

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_THOUSANDS = ["", "thousand", "million", "billion", "trillion"]
#: Longer ones are said digit by digit only.
_LONGEST = 3 * len(_THOUSANDS)


def in_words(digits: str) -> list[str]:
    """Return the ways to say a number: as a number, as a year, digit by digit.

    Args:
        digits: Of 0 to 9, at least one.
    """
    value = int(digits)
    ways = []
    plain = not digits.startswith("0") or digits == "0"
    if plain and len(digits) <= _LONGEST:
        ways.append(_cardinal(value))
        if len(digits) == 4 and value % 1000 >= 100:  # 1984, 2019; but not 2005
            century, year = divmod(value, 100)
            rest = "hundred" if year == 0 else _cardinal(year)
            if 0 < year < 10:
                rest = f"oh {rest}"
            # Years are said so, and much more often than in thousands.
            ways.insert(0 if 11 <= century <= 20 else 1, f"{_cardinal(century)} {rest}")
    ways.append(" ".join(_ONES[int(digit)] for digit in digits))
    return list(dict.fromkeys(ways))


def _cardinal(value: int) -> str:
    """Return a number below 10 ** 15 in words."""
    if value < 20:
        return _ONES[value]
    words = []
    for power in range(len(_THOUSANDS) - 1, -1, -1):
        group = value // 1000**power % 1000
        if not group:
            continue
        if group >= 100:
            words += [_ONES[group // 100], "hundred"]
        below = group % 100
        if below >= 20:
            words.append(_TENS[below // 10 - 2])
            below %= 10
        if below:
            words.append(_ONES[below])
        words.append(_THOUSANDS[power])
    return " ".join(filter(None, words))
