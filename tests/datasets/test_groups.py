"""Groups that stay together: in splits over time and by generator or source, in evaluation and calibration."""

from collections import Counter

import numpy as np
import pytest

from asli.datasets.build import open_folders
from asli.datasets.division import Division, whole_groups
from asli.datasets.groups import grouped, units
from asli.errors import DataError
from tests.datasets.pictures import picture, put

GENERATORS = ("flux.1-dev", "flux.1-pro", "sdxl", "dalle3")


@pytest.fixture
def dated(tmp_path):
    """A table of 80 fakes of four generators with release dates, and 80 photographs of eight cameras without any."""
    lines = ["path,label,model,release_date,source"]
    for n in range(160):
        put(tmp_path / f"set/{n:03}.png", picture(n, "PNG"))
        maker = GENERATORS[n % 4] if n < 80 else ""
        date = f"202{n % 4 + 1}-0{n % 4 + 1}" if n < 80 else ""
        lines.append(f"{n:03}.png,{'fake' if n < 80 else 'real'},{maker},{date},{'' if n < 80 else f'camera-{n % 8}'}")
    put(tmp_path / "set/table.csv", "\n".join(lines) + "\n")
    return tmp_path / "set"


def parts(data, column):
    """Return, for each value of a column, in which splits it lies."""
    table = data.table([column, "split"]).to_pylist()
    found: dict[str, Counter] = {}
    for line in table:
        found.setdefault(line[column], Counter())[line["split"]] += 1
    return found


def test_the_newest_images_are_test(dated, tmp_path):
    data = open_folders(dated, tmp_path / "out", division=Division(by="release_date"))
    by_date = parts(data, "date")
    assert set(by_date["2024-04"]) == {"test"}
    assert "test" not in by_date["2021-01"] + by_date["2022-02"] + by_date["2023-03"]
    assert data.info["counts"]["test"] == {"real": 20, "fake": 20}  # photographs in the same share
    assert all(min(data.info["counts"][split].values()) > 0 for split in ("train", "validation", "calibration"))
    assert "test: the newest by date" in data.describe()
    assert open_folders(dated, tmp_path / "out", division=Division(by="release_date")).hash == data.hash
    with pytest.raises(DataError, match="something else"):
        open_folders(dated, tmp_path / "out")


def test_held_out_generators_are_test(dated, tmp_path):
    data = open_folders(dated, tmp_path / "out", division=Division(holdout=("generator=FLUX*",)))
    makers = parts(data, "generator")
    assert set(makers["flux.1-dev"]) == set(makers["flux.1-pro"]) == {"test"}
    assert "test" not in makers["sdxl"] + makers["dalle3"]
    assert data.info["counts"]["test"] == {"real": 40, "fake": 40}
    for wrong, words in (
        (("generator=imagen*",), "matches no image; generator: "),
        (("generator=*",), "would take every fake image"),
        (("camera=x",), "COLUMN=PATTERN"),
    ):
        with pytest.raises(DataError, match=words):
            open_folders(dated, tmp_path / "other", division=Division(holdout=wrong))


def test_duplicates_follow_what_is_held_out(dated, tmp_path):
    put(dated / "002.png", (dated / "000.png").read_bytes())  # sdxl's 002 is flux's 000
    data = open_folders(dated, tmp_path / "out", division=Division(holdout=("generator=flux*",)))
    ids = data.table(["id", "split", "cross_split_duplicate"]).to_pylist()
    assert {line["split"] for line in ids if line["id"] in ("000.png", "002.png")} == {"test"}
    assert not any(line["cross_split_duplicate"] for line in ids)


@pytest.mark.parametrize("way", ["column", "file"])
def test_groups_are_never_parted_by_a_split(dated, tmp_path, way):
    if way == "file":
        lines = "".join(f"{n:03}.png,g{n // 8}\n" for n in range(160))
        division = Division(group_file=str(put(tmp_path / "groups.csv", f"name,group\n{lines}")))
    else:
        division = Division(group_by="source")
    data = open_folders(dated, tmp_path / "out", division=division)
    splits = data.table(["id", "source", "split"]).to_pylist()
    of: dict[str, set[str]] = {}
    for line in splits:
        key = line["source"] if way == "column" else str(int(line["id"][:3]) // 8)
        if key is not None:
            of.setdefault(key, set()).add(line["split"])
    assert all(len(found) == 1 for found in of.values())
    assert all(min(counts.values()) > 0 for counts in data.info["counts"].values())
    assert len(data.info["counts"]) == 4


def test_shares_of_whole_groups_are_near_what_is_wanted(rng):
    groups = np.sort(rng.integers(0, 200, 4000))
    labels = ["fake" if g % 2 else "real" for g in groups]
    wanted = {"validation": 0.05, "calibration": 0.05, "test": 0.1}
    found = Counter(whole_groups(labels, [None] * 4000, groups, wanted))
    assert all(abs(found[split] / 4000 - share) < 0.02 for split, share in wanted.items())
    with pytest.raises(DataError, match="too few"):
        whole_groups(["real", "fake"] * 3, [None] * 6, np.array([0, 1] * 3), wanted)


def test_units_join_groups_and_duplicates():
    found = units(np.array([0, 0, 1, -1, -1, -1]), np.array([-1, 0, 0, 1, 1, -1]))
    assert len(np.unique(found)) == 3
    assert found[0] == found[1] == found[2]
    assert found[3] == found[4] != found[5]


def test_a_grouped_view_changes_what_is_resampled_and_nothing_else(dated, tmp_path):
    data = open_folders(dated, tmp_path / "out")
    rows = np.arange(len(data))
    view = grouped(data, "source")
    assert len(np.unique(data.groups(rows))) == 160
    assert len(np.unique(view.groups(rows))) == 80 + 8
    assert (view.hash, view.count_duplicates(rows)) == (data.hash, 0)
    assert view.grouped_by == "source, 8 groups"
    assert grouped(data) is data
    assert data.unit is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name,other\nx,1\n", "it has name, other"),
        ("name,group\nx.png,1\n", "names none of the 160 images"),
        ("name,group\n000.png,1\n000.png,2\n", "two groups"),
    ],
)
def test_wrong_tables_of_groups(dated, tmp_path, content, words):
    data = open_folders(dated, tmp_path / "out")
    with pytest.raises(DataError, match=words):
        grouped(data, file=put(tmp_path / "g.csv", content))


def test_what_does_not_go_together(dated, tmp_path):
    with pytest.raises(DataError, match="not both"):
        Division(group_by="source", group_file="x")
    with pytest.raises(DataError, match="not both"):
        Division(by="date", holdout=("generator=x",))
    with pytest.raises(DataError, match="use --group-by generator"):
        Division(by="generator")
    with pytest.raises(DataError, match="grouped by source"):
        grouped(open_folders(dated, tmp_path / "out"), "size")
    put(dated / "table.csv", (dated / "table.csv").read_text().replace("2021-01", "January"))
    with pytest.raises(DataError, match="'January' does not sort"):
        open_folders(dated, tmp_path / "more", division=Division(by="date"))
