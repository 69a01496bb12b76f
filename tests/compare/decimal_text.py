"""The hashes in tests/test_decimal.c: shortest texts of all powers of two, by Python's repr (doubles) and numpy (floats)."""
import hashlib

import numpy


def layout(text):
    """repr's digits in our layout: plainly from 1e-4 up to below 1e15, else d.ddde-7."""
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits, point = whole + fraction, len(whole) + int(exponent or 0)
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.lstrip("0").rstrip("0")
    if point > 15 or point < -3:
        return digits[0] + ("." + digits[1:] if digits[1:] else "") + "e" + str(point - 1)
    if point <= 0:
        return "0." + "0" * -point + digits
    return digits.ljust(point, "0") if len(digits) <= point else digits[:point] + "." + digits[point:]


doubles = "".join(layout(repr(2.0**e)) + "\n" for e in range(-1074, 1024))
floats = "".join(layout(numpy.format_float_scientific(numpy.float32(2.0**e), unique=True)) + "\n" for e in range(-149, 128))
print("doubles", hashlib.sha256(doubles.encode()).hexdigest())
print("floats ", hashlib.sha256(floats.encode()).hexdigest())
