"""Test that reducers compute the statistics that NumPy computes of the whole raster."""

from __future__ import annotations

import block_functions as functions
import numpy as np
import pytest

from regionplot.blocks import (
    Count,
    Histogram,
    Maximum,
    Mean,
    Minimum,
    Quantiles,
    Sum,
    Variance,
    ZonalStatistics,
    process_blocks,
)
from regionplot.errors import BlockError, RasterError

EDGES = np.linspace(-5, 5, 101)
REFERENCES = {
    "count": (Count(), np.size),
    "sum": (Sum(), np.sum),
    "minimum": (Minimum(), np.min),
    "maximum": (Maximum(), np.max),
    "mean": (Mean(), np.mean),
    "variance": (Variance(), np.var),
    "sample variance": (Variance(ddof=1), lambda cells: np.var(cells, ddof=1)),
    "histogram": (Histogram(EDGES), lambda cells: np.histogram(cells, EDGES)[0]),
}


@pytest.fixture
def gappy(write_raster, noise):
    """Return values in two bands, of which a part is missing, and their file."""
    values = noise.astype(np.float64)
    values[0, :20, :30], values[1, 5, 5] = -9999.0, np.nan
    return values, write_raster(values, nodata=-9999.0)


def valid(band):
    return band[(band != -9999.0) & ~np.isnan(band)]


def run(reducer, file, function=functions.first, **options):
    process_blocks(function, file, reducer, **{"grid": (16, 40), "executor": "serial", **options})
    return reducer.results


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("executor", ["serial", "threads", "fork"])
def test_reducers_agree_with_numpy(gappy, name, executor):
    values, file = gappy
    reducer, reference = REFERENCES[name]
    found = run(reducer, file, executor=executor, workers=2)
    for band, result in zip(values, found, strict=True):
        np.testing.assert_allclose(result, reference(valid(band)), rtol=1e-12)


def test_quantiles_are_in_the_bin_of_the_exact_quantile(gappy):
    values, file = gappy
    probabilities = [0, 0.1, 0.5, 0.9, 1]
    for band, found in zip(values, run(Quantiles(EDGES, probabilities=probabilities), file), strict=True):
        np.testing.assert_allclose(found, np.quantile(valid(band), probabilities), atol=0.1)


def test_quantiles_skip_empty_bins():
    counts = np.array([0, 4, 0, 0, 4, 0])
    found = Quantiles(range(7), probabilities=[0, 0.25, 0.5, 0.75, 1]).value(counts)
    np.testing.assert_array_equal(found, [1, 1.5, 2, 4.5, 5])


@pytest.mark.parametrize("executor", ["serial", "fork"])
def test_zonal_statistics_agree_with_numpy(gappy, write_raster, executor):
    values, file = gappy
    zones = (np.arange(70 * 90).reshape(70, 90) // 700 + 1).astype(np.int16)
    zones[:, :3] = -1
    reducer = ZonalStatistics(write_raster(zones, nodata=-1, name="zones.tif"))
    for band, found in zip(values, run(reducer, file, executor=executor, workers=2), strict=True):
        expected = {zone: valid(band[zones == zone]) for zone in range(1, 10)}
        assert list(found) == [zone for zone, cells in expected.items() if cells.size]
        for zone, result in found.items():
            cells = expected[zone]
            reference = [cells.size, cells.sum(), cells.min(), cells.max(), cells.mean(), cells.var()]
            np.testing.assert_allclose(result, reference, rtol=1e-9)


def test_zones_must_be_integers_on_the_grid_of_the_input(gappy, write_raster):
    _values, file = gappy
    with pytest.raises(BlockError, match="zones must be integers"):
        run(ZonalStatistics(file), file)
    small = write_raster(np.ones((10, 10), np.int16), name="small.tif")
    with pytest.raises(RasterError, match=r"small.tif: it has \(10, 10\) rows and columns"):
        run(ZonalStatistics(small), file)


def test_bands_without_valid_cells_have_results(write_raster):
    file = write_raster(np.full((40, 50), -9999.0), nodata=-9999.0)
    assert (run(Count(), file), run(Sum(), file)) == ([0], [0.0])
    for reducer in (Minimum(), Maximum(), Mean(), Variance(), Quantiles(EDGES, probabilities=[0.5])):
        assert np.isnan(run(reducer, file)).all()


def test_the_nodata_value_can_be_set(gappy):
    _values, file = gappy
    assert run(Count(), file, profile={"nodata": None}) == [6300, 6299]
    with pytest.raises(ValueError, match="only the key nodata of profile, not dtype"):
        run(Count(), file, profile={"dtype": "uint8"})


def test_masked_cells_are_left_out(gappy):
    values, file = gappy
    found = run(Mean(), file, functions.mask_negative, halo=2)
    np.testing.assert_allclose(found, [valid(band)[valid(band) >= 0].mean() for band in values], rtol=1e-12)


def test_a_failed_run_leaves_no_results(gappy):
    reducer = Mean()
    run(reducer, gappy[1])
    with pytest.raises(BlockError):
        run(reducer, gappy[1], functions.sum_as, arguments="dict")
    with pytest.raises(ValueError, match="there are no results"):
        _ = reducer.results


@pytest.mark.parametrize("edges", [[], [1], [1, 1], [2, 1], [[1, 2]]])
def test_edges_must_increase(edges):
    with pytest.raises(ValueError, match="edges must be at least two increasing numbers"):
        Histogram(edges)


def test_probabilities_are_from_0_to_1():
    with pytest.raises(ValueError, match="probabilities must be numbers from 0 to 1"):
        Quantiles(EDGES, probabilities=[50])


@pytest.mark.parametrize("odd", [[np.inf], [np.inf, np.inf], [-np.inf, np.inf], [-np.inf], [1e200, 2e200, 0]])
def test_infinite_and_huge_cells_give_the_statistics_of_numpy(write_raster, odd):
    """The odd cells are in different blocks, so that summaries of them are merged."""
    values = np.ones((20, 60))
    values[3, [5 + 20 * number for number in range(len(odd))]] = odd
    file = write_raster(values)
    for reducer, function in ((Sum(), np.sum), (Mean(), np.mean), (Variance(), np.var), (Maximum(), np.max)):
        found = run(reducer, file, grid=(20, 20))
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(found[0], function(values))


@pytest.mark.parametrize(
    ("result", "message"),
    [(None, "the function returned None"), (np.ones((0, 40, 50)), "an array without bands")],
)
@pytest.mark.parametrize("read", ["arrays", "masked"])
def test_a_function_without_a_result_is_named(write_raster, tmp_path, result, message, read):
    file = write_raster(np.ones((40, 50)))
    for output in (Mean(), tmp_path / "out.tif"):
        with pytest.raises(BlockError, match=message):
            process_blocks(lambda *_: result, file, output, read=read)
