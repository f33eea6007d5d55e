#!/usr/bin/env python3
"""Prints what one record's batch becomes under core/journal/FORMAT.md, computed without any of its code: for at_rest_test.cpp."""
import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

master = bytes((7 * 41 + i) & 255 for i in range(32))
life = bytes(range(1, 13))
key_id, journal_id, segment_index, position = 7, 0x0102030405060708, 9, 0x11223344
extracted = hmac.new(life, master, hashlib.sha256).digest()
info = b"weir journal segment 2" + struct.pack("<QQI", journal_id, segment_index, key_id)
key = hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()
header = struct.pack("<4sIQQQI", b"REC2", 5, position, 99, 0, 0)
sealed = AESGCM(key).encrypt(struct.pack("<QI", position, 0), b"hello", header)
print(sealed[:-16].hex(), sealed[-16:].hex())
