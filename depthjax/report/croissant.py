"""What each source of faces is, and a prepared set as Croissant metadata (MLCommons, version 1.1)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depthjax import config as configs
from depthjax import files
from depthjax.data.stored import StoredFaces
from depthjax.report.dataset_numbers import Numbers, clean

# Croissant names an unregistered format by the page that defines it; a .npz is a zip of .npy files.
FORMATS = {
    ".csv": "text/csv",
    ".npz": "application/zip",
    ".npy": "https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html",
    ".array_record": "https://github.com/google/array_record",
}
# What pandas, and so mlcroissant, takes for a missing value or a truth value in a CSV.
NOT_TEXT = {"", "#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan", "<na>", "n/a", "na",
            "nan", "null", "none", "true", "false"}  # fmt: skip
_OWN = (
    "arrayShape citeAs column conformsTo containedIn equivalentProperty extract field fileProperty fileObject fileSet "
    "format includes isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated "
    "replace samplingRate separator source subField transform"
)
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    **{name: f"cr:{name}" for name in _OWN.split()},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
}
IKFDB_DOI = "10.1007/s42452-020-03999-y"
USES = (
    "Training and testing recognisers of posed facial expressions from depth, and generators of such faces.",
    "Not for identifying, deceiving or judging people: a posed expression is not a feeling.",
)


@dataclass(frozen=True)
class Source:
    """A source of faces."""

    title: str  # a name for headings
    description: str  # what the faces are
    licence: str  # a sentence
    licence_node: str | dict[str, Any]  # of schema.org: a URL or a CreativeWork
    creators: tuple[tuple[str, str], ...]  # (schema.org type, name)
    personal: str  # what of it is personal data
    biases: str  # what it does not show of people
    limits: str  # what it is not
    collection: str  # how it came to be
    upkeep: str  # who keeps it, and where it may go
    citation: str = ""  # BibTeX
    published: str = ""  # ISO date of the set's first publication
    url: str = ""  # of the set or its description
    collection_type: str = ""  # in the terms of Croissant's RAI vocabulary


SOURCES = {
    "depth_heads": Source(
        title="Rendered depth faces (depth_heads)",
        description="Depth faces of people who do not exist: the CC0 head of MakeHuman / MPFB2 with random shape, "
        "seven EMFACS expressions and head pose, seen by a simulated Kinect v2.",
        licence="CC0 1.0. The head model is CC0 (MakeHuman / MPFB2), and nothing is claimed for its renderings.",
        licence_node="https://creativecommons.org/publicdomain/zero/1.0/",
        creators=(("Organization", "depthjax"),),
        citation="@misc{depthjax_depth_heads, title = {depth_heads: rendered depth faces with emotions}, "
        "author = {{depthjax}}, year = {2026}, note = {Head model: MakeHuman / MPFB2, CC0}}",
        published="2026-11-23",
        url="https://github.com/depthjax/depthjax",
        personal="None: no face is that of a person. Age, sex and ancestry are settings of a shape model.",
        biases="Ancestry and age are those that the head model's authors drew; hair is a bump, skin has no pores, "
        "nobody wears glasses.",
        limits="A substitute for recorded faces: results on rendered faces need not hold for recorded ones.",
        collection="Rendered from a seed: head model, facial actions, z-buffer, and a noise model of the Kinect v2.",
        collection_type="Others",
        upkeep="Not kept anywhere: made again from the settings of the run.",
    ),
    "ikfdb": Source(
        title="IKFDB (a copy of the user's own)",
        description="Faces of the Iranian Kinect Face Database (40 people, Kinect v2, posed expressions), read from a "
        "copy that the user obtained from its authors.",
        licence="The licence agreement of IKFDB, which forbids publishing any sample. The data are the user's and stay "
        "where they are: neither this card nor the files beside it may be passed on, for they show faces.",
        licence_node={
            "@type": "sc:CreativeWork",
            "name": "IKFDB licence agreement: on signed request to its authors; no sample may be published",
            "url": f"https://doi.org/{IKFDB_DOI}",
        },
        creators=(("Person", "Seyed Muhammad Hossein Mousavi"), ("Person", "S. Younes Mirinezhad")),
        citation="@article{mousavi2021ikfdb, title = {Iranian kinect face database (IKFDB): a color-depth based face "
        "database collected by kinect v.2 sensor}, author = {Mousavi, Seyed Muhammad Hossein and Mirinezhad, "
        f"S. Younes}}, journal = {{SN Applied Sciences}}, volume = {{3}}, number = {{1}}, pages = {{19}}, "
        f"year = {{2021}}, doi = {{{IKFDB_DOI}}}}}",
        published="2021",
        url=f"https://doi.org/{IKFDB_DOI}",
        personal="Depth images of the faces of identifiable people: biometric data. They stay with the user.",
        biases="Forty people of one country, 24 men and 16 women, aged 7 to 70; expressions are posed.",
        limits="Posed expressions before one sensor at 0.8 to 1.2 m.",
        collection="Recorded by the authors of IKFDB with a Kinect v2; here only read, cropped and labelled.",
        collection_type="Direct measurement",
        upkeep="Kept by its authors; this copy must not be published.",
    ),
    "folder": Source(
        title="Depth faces from a folder",
        description="Depth faces that the user brought as a folder of images, one sub-folder an emotion.",
        licence="Not known to depthjax. The data are the user's and stay where they are: ask whoever gave them before "
        "passing on this card or the files beside it, for they show faces.",
        licence_node={"@type": "sc:CreativeWork", "name": "Not stated: held by the owner of the images"},
        creators=(("Organization", "The owner of the images"),),
        personal="If these are people: depth images of identifiable faces, which are biometric data.",
        biases="Not known to depthjax: whoever recorded the faces knows who is missing.",
        limits="Labels and people are what file names and folders say; nobody checked them.",
        collection="Read from the user's folder, checked, cropped and labelled by depthjax.",
        upkeep="Kept by the user; not published.",
    ),
}


def croissant(
    numbers: Numbers, faces: StoredFaces, settings: configs.Data, folder: Path, *, stored: Path
) -> dict[str, Any]:
    """Return what croissant.json holds, from files and settings only.

    `folder` is the work folder with faces.csv, `stored` the folder inside it that holds the set's array_record files.
    """
    source = SOURCES[settings.source]
    people = zip(numbers.subjects.tolist(), numbers.names, strict=True)
    size = f"{numbers.shape[1]} x {numbers.shape[0]}"
    kept = ["source", "emotions", "seed", "split", "test_fraction"]
    kept += ["extra_test_subjects"] if settings.source == "depth_heads" else []
    described = {
        "Labels: a row a face, in stored order.": [folder / "faces.csv"],
        f"Depth ({size} uint16 mm, compressed) and labels; read by depthjax or tensorflow-datasets.": sorted(
            stored.glob("*.array_record*")
        ),
        "The network inputs (float32 in [-1, 1]), or their emotion, subject and frame, for numpy.load.": sorted(
            folder.glob("faces/*/*.np[yz]")
        ),
    }
    found = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": re.sub(r"[^\w.-]+", "_", "_".join((settings.source, *numbers.emotions))),
        "description": f"{source.description} {len(faces):,} faces of {len(numbers.subjects):,} subjects, "
        f"{size} pixels of whole millimetres (0 is invalid).",
        "license": source.licence_node,
        "creator": [{"@type": f"sc:{kind}", "name": name} for kind, name in source.creators],
        "citeAs": source.citation,
        "datePublished": source.published,
        "url": source.url,
        "version": "1.0.0",
        "keywords": ["depth images", "faces", "facial expressions", *numbers.emotions],
        "distribution": [_file_object(path, folder, text) for text, paths in described.items() for path in paths],
        "recordSet": [
            _faces_records(numbers, faces),
            _names("emotions", "The emotions by label.", enumerate(numbers.emotions)),
            _names("people", "The subjects by label.", people),
        ],
        # The vocabulary of responsible AI: how the set came to be, what it is for, what is missing.
        "rai:dataCollection": source.collection,
        "rai:dataCollectionType": source.collection_type,
        "rai:dataCollectionMissingData": f"A pixel of 0 mm is invalid: {100 * numbers.invalid_map.mean():.1f} % "
        "of the pixels measured.",
        "rai:dataPreprocessingProtocol": [
            "Cropped about the nose; whole millimetres from the camera, not filtered.",
            f"Settings of the run: {json.dumps({name: getattr(settings, name) for name in kept})}",
        ],
        "rai:dataAnnotationProtocol": ["The emotion that was asked for or rendered; no person checked the faces."],
        "rai:dataUseCases": list(USES),
        "rai:dataBiases": [source.biases],
        "rai:dataLimitations": [source.limits],
        "rai:personalSensitiveInformation": [source.personal],
        "rai:dataReleaseMaintenancePlan": source.upkeep,
    }
    return {key: value for key, value in found.items() if value}


def _file_object(path: Path, folder: Path, text: str) -> dict[str, Any]:
    inside = path.relative_to(folder).as_posix()
    return {
        "@type": "cr:FileObject",
        "@id": inside,
        "name": path.name,
        "description": text,
        "contentUrl": inside,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": next(kind for ending, kind in FORMATS.items() if ending in path.name),
        "sha256": files.file_digest(path),
    }


def _faces_records(numbers: Numbers, faces: StoredFaces) -> dict[str, Any]:
    # Names that a CSV reader would take for numbers stay out: the label stands for them.
    columns = {
        "face": ("sc:Integer", "Number of the face, from 0, in stored order."),
        "label": ("sc:Integer", "Emotion as a number: see the record set emotions."),
        "subject": ("sc:Integer", "Person as a number: see the record set people."),
        "frame": ("sc:Integer", "Number of the frame within its person and emotion."),
    }
    texts = {
        "emotion": ("Emotion by name.", set(numbers.emotions)),
        "person": ("Person by name.", set(numbers.names)),
        "source": ("Where the face came from.", {clean(source) for source in faces.sources}),
        "side": ("train or test.", {"train", "test"}),
    }
    columns |= {name: ("sc:Text", text) for name, (text, values) in texts.items() if all(map(_is_text, values))}
    records = _records("faces", "The labels of each face.", "face", columns)
    for field in records["field"]:
        field["source"] = {"fileObject": {"@id": "faces.csv"}, "extract": {"column": field["name"]}}
    return records


def _is_text(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return value.strip().lower() not in NOT_TEXT
    return False


def _records(name: str, text: str, key: str, columns: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """A record set; of each column its data type and description."""
    fields = [
        {"@type": "cr:Field", "@id": f"{name}/{column}", "name": column, "description": about, "dataType": kind}
        for column, (kind, about) in columns.items()
    ]
    head = {"@type": "cr:RecordSet", "@id": name, "name": name, "description": text}
    return head | {"key": {"@id": f"{name}/{key}"}, "field": fields}


def _names(record_set: str, text: str, rows: Iterable[tuple[int, str]]) -> dict[str, Any]:
    """An enumeration that carries its own records."""
    columns = {"label": ("sc:Integer", "The number."), "name": ("sc:Text", "The name.")}
    data = [{f"{record_set}/label": label, f"{record_set}/name": name} for label, name in rows]
    return _records(record_set, text, "label", columns) | {"dataType": "sc:Enumeration", "data": data}
