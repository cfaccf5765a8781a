import hashlib
import json

from asli.files import sha256_of_json, sha256_of_json_array


def test_an_arrays_hash_is_that_of_the_whole_without_holding_it():
    values = [["a/\u00e9.jpg", "real", None, 1], ["b", "fake", "x y", 2.5], []]
    for part in (values, values[:1], []):
        assert sha256_of_json_array(iter(part)) == sha256_of_json(part)
    assert sha256_of_json({"b": 1, "a": 2}) == sha256_of_json({"a": 2, "b": 1})


def test_hash_is_that_of_canonical_json():
    text = json.dumps({"a": [1, 2]}, sort_keys=True, separators=(",", ":"))
    assert sha256_of_json({"a": [1, 2]}) == hashlib.sha256(text.encode()).hexdigest()
