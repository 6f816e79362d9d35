"""The namespace of the Array API standard 2024.12: names, signatures, inspection; against `array_api_strict`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import backlit as bl

strict: Any = pytest.importorskip("array_api_strict")

#: Names in `__all__` of array_api_strict that are its own tools, not names of the standard.
ITS_OWN = {
    "ArrayAPIStrictFlags", "Device", "__version__", "__array_api_strict_version__", "get_array_api_strict_flags",
    "reset_array_api_strict_flags", "set_array_api_strict_flags",
}  # fmt: skip

#: Where signatures differ from array_api_strict's, and why.
OTHER_SIGNATURES = {
    "expand_dims": "the standard has axis=0 by keyword; axis may be given by position too, as array_api_strict does",
}

DTYPES = list(strict.__array_namespace_info__().dtypes())


def names(module: Any) -> list[str]:
    return [n for n in module.__all__ if n not in ITS_OWN]


def spaces() -> Iterator[tuple[str, str]]:
    for space in ("", "linalg", "fft"):
        for name in names(getattr(strict, space) if space else strict):
            yield space, name


def found(namespace: Any, space: str, name: str) -> Any:
    return getattr(getattr(namespace, space) if space else namespace, name)


@pytest.mark.parametrize(("space", "name"), list(spaces()))
def test_every_name_is_there_with_its_signature(space: str, name: str) -> None:
    theirs, ours = found(strict, space, name), found(bl, space, name)
    if not inspect.isfunction(theirs) or name in OTHER_SIGNATURES:
        return

    def parameters(f: Any) -> list[Any]:
        default = lambda d: None if "Undef" in repr(d) else d
        return [(p.name, p.kind.name, default(p.default)) for p in inspect.signature(f).parameters.values()]

    assert parameters(ours) == parameters(theirs)


def test_arrays_have_every_attribute_and_operator() -> None:
    public = [n for n in dir(strict.asarray(1.0)) if not n.startswith("_") or n.startswith("__")]
    missing = [n for n in public if not hasattr(bl.Tensor, n)]
    assert [n for n in missing if n not in ("__dict__", "__module__", "__annotations__", "__buffer__")] == []


def test_the_namespace_says_what_it_is() -> None:
    x = bl.zeros(2)
    assert x.__array_namespace__() is bl
    assert x.__array_namespace__(api_version="2024.12") is bl
    with pytest.raises(bl.ArgumentError, match="version '1999'"):
        x.__array_namespace__(api_version="1999")
    assert bl.__array_api_version__ == "2024.12"
    info, theirs = bl.__array_namespace_info__(), strict.__array_namespace_info__()
    assert set(info.capabilities()) == set(theirs.capabilities())
    assert info.devices() == [info.default_device()] == ["cpu"]
    assert {k: v.name for k, v in info.default_dtypes().items()} == {
        "real floating": "float32", "complex floating": "complex64", "integral": "int64", "indexing": "int64",
    }  # fmt: skip
    with bl.settings(default_dtype=bl.float64):
        assert info.default_dtypes(device="cpu")["complex floating"] == bl.complex128
    for kind in (None, "bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating",
                 "numeric", ("bool", "real floating")):  # fmt: skip
        assert sorted(info.dtypes(kind=kind)) == sorted(theirs.dtypes(kind=kind))
    assert (bl.e, bl.pi, bl.inf, bl.newaxis) == (np.e, np.pi, np.inf, None)
    assert np.isnan(bl.nan)
    assert x.device == "cpu"
    assert x.to_device("cpu") is x


# --- dtypes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_functions(dtype: str) -> None:
    ours, theirs = getattr(bl, dtype), getattr(strict, dtype)
    for kind in (
        "bool",
        "signed integer",
        "unsigned integer",
        "integral",
        "real floating",
        "complex floating",
        "numeric",
    ):
        assert bl.isdtype(ours, kind) == strict.isdtype(theirs, kind)
        assert bl.isdtype(ours, (kind, bl.int8)) == strict.isdtype(theirs, (kind, strict.int8))
    for name in ("finfo", "iinfo"):
        try:
            want = getattr(strict, name)(theirs)
        except (TypeError, ValueError):
            with pytest.raises(TypeError):
                getattr(bl, name)(ours)
            continue
        got = getattr(bl, name)(ours)
        for field in ("bits", "eps", "max", "min", "smallest_normal") if name == "finfo" else ("bits", "max", "min"):
            assert getattr(got, field) == getattr(want, field)
            assert type(getattr(got, field)) is type(getattr(want, field))
        assert got.dtype == want.dtype._np_dtype
    for other in DTYPES:
        assert bl.can_cast(ours, getattr(bl, other)) == strict.can_cast(theirs, getattr(strict, other))
        try:
            want = strict.result_type(theirs, getattr(strict, other))
        except TypeError:
            continue
        assert bl.result_type(ours, getattr(bl, other)) == want._np_dtype
    for scalar in (True, 2, 0.5, 1 + 2j):
        try:
            want = strict.result_type(theirs, scalar)
        except TypeError:
            continue
        assert bl.result_type(ours, scalar) == want._np_dtype


def test_dtype_functions_refuse_what_they_do_not_know() -> None:
    with pytest.raises(bl.ArgumentError, match="kind 'float' is not one of"):
        bl.isdtype(bl.float32, "float")
    with pytest.raises(bl.ArgumentError, match="an array or dtype"):
        bl.result_type(1, 2.0)
    with pytest.raises(bl.ArgumentError, match="tuples"):
        bl.broadcast_shapes([1, 2])
    with pytest.raises(bl.DtypeError, match="no common integer dtype"):
        bl.result_type(bl.uint64, bl.int8)
    assert bl.result_type(bl.zeros(2), bl.int8) == bl.float32
