import json

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import mahalanobis
from sklearn.datasets import load_sample_images

from asli.detector.statistics import KEPT, NAMES, PixelDomain, statistics
from asli.transforms.corruptions import jpeg, resized


@pytest.fixture(scope="module")
def domain(sample):
    return PixelDomain.fit(values(sample.images[sample.rows("calibration")]))


def values(images):
    return statistics([image[None] for image in images])


def test_statistics_are_means_over_windows_and_do_not_depend_on_the_company(sample):
    first, second = sample.images[0], sample.images[1]
    together = statistics([np.stack([first, second]), first[None]])
    assert together.shape == (2, len(NAMES))
    assert together[0] == pytest.approx((values([first])[0] + values([second])[0]) / 2, rel=1e-5)
    assert together[1] == pytest.approx(values([first])[0], rel=1e-5)


def test_distances_are_mahalanobis_distances(domain, sample):
    some = values(sample.images[:20])
    expected = [mahalanobis(row, np.array(domain.mean), np.array(domain.precision)) for row in some]
    assert domain.distances(some) == pytest.approx(expected)


def test_known_images_lie_inside_and_unlike_ones_do_not(domain, sample):
    test = sample.images[sample.rows("test")]
    assert (domain.distances(values(test)) > domain.limit).mean() < 4 * (1 - KEPT)
    noise = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), dtype=np.uint8)
    assert (domain.distances(values(noise)) > domain.limit).all()
    chart = np.full((32, 32, 3), 255, dtype=np.uint8)
    chart[::4] = 0
    assert "detail" in domain.why_all_outside(values([chart]))[0]


def test_a_photograph_shrunk_without_antialiasing_lies_further_out(domain):
    photographs = [picture[:427, 100:527] for picture in load_sample_images().images]
    parts = [p[y : y + 213, x : x + 213] for p in photographs for y in (0, 213) for x in (0, 213)]
    distance = {
        k: domain.distances(values([jpeg(resized(p, (32, 32), k), 75) for p in parts])) for k in ("bicubic", "nearest")
    }
    assert (distance["nearest"] > distance["bicubic"]).all()
    assert (distance["bicubic"] < domain.limit).mean() > 0.5


def test_it_survives_json_and_a_single_image(domain, sample):
    assert PixelDomain.from_dict(json.loads(json.dumps(domain.to_dict()))) == domain
    alone = PixelDomain.fit(values(sample.images[:1]))
    assert alone.limit == pytest.approx(0, abs=1e-6)
    assert np.isfinite(alone.distances(values(sample.images[:5]))).all()


def test_the_reason_names_what_is_most_unlike(domain, sample):
    image = Image.fromarray(sample.images[sample.rows("test")[0]])
    flat = np.asarray(image.resize((2, 2)).resize((32, 32)))
    assert "less" in domain.why_all_outside(values([flat]))[0]
