"""Croissant metadata (MLCommons, version 1.1) of a prepared set: files with checksums, labels as records."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from depthjax import config as configs
from depthjax import files
from depthjax.data.stored import StoredFaces
from depthjax.report.dataset_findings import percent
from depthjax.report.dataset_numbers import SIDES, Numbers, clean
from depthjax.report.dataset_source import SOURCES, USES, Source

CONFORMS_TO = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
# Croissant names an unregistered format by the page that defines it; a .npz is a zip of .npy files.
FORMATS = {
    ".csv": "text/csv",
    ".npz": "application/zip",
    ".npy": "https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html",
    ".array_record": "https://github.com/google/array_record",
}
# What pandas, and so mlcroissant, takes for a missing value or a truth value in a CSV.
NOT_TEXT = {
    *("", "#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan", "<na>", "n/a", "na", "nan"),
    *("null", "none", "true", "false"),
}
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(
    numbers: Numbers, faces: StoredFaces, settings: configs.Data, folder: Path, *, stored: Path | None
) -> dict[str, Any]:
    """The JSON-LD of the set stored in `folder`, whose files are read for their checksums.

    Args:
        folder: the work folder with `faces.csv`; the files of its `faces/` are described if there.
        stored: the folder inside it of the stored set, whose array_record files are described.
    Returns:
        what croissant.json holds; it depends on the files and the settings only, not on the time.
    """
    source = SOURCES[settings.source]
    found = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS_TO),
        "name": re.sub(r"[^\w.-]+", "_", "_".join((settings.source, *numbers.emotions))),
        "description": f"{source.description} {len(faces):,} faces of {len(numbers.people):,} people, "
        f"{numbers.shape[1]} x {numbers.shape[0]} pixels of whole millimetres (0 is no return).",
        "license": source.licence_node,
        "creator": [{"@type": f"sc:{kind}", "name": name} for kind, name in source.creators],
        "citeAs": source.citation,
        "datePublished": source.published,
        "url": source.url,
        "version": source.version,
        "keywords": ["depth images", "faces", "facial expressions", *numbers.emotions],
        "distribution": _distribution(numbers, folder, stored),
        "recordSet": [_faces_records(numbers, faces), _emotion_records(numbers), _people_records(numbers)],
        **_responsible(source, numbers, settings),
    }
    return {key: value for key, value in found.items() if value}


def stored_set(folder: Path, faces: int) -> Path | None:
    """The stored set of that many faces under `folder`/data, the newest if there are several; None if there is none."""
    found = []
    for path in folder.glob("data/**/dataset_info.json"):
        splits = files.read_json(path).get("splits", [])
        if sum(int(length) for split in splits for length in split["shardLengths"]) == faces:
            found.append(path)
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent if found else None


def _distribution(numbers: Numbers, folder: Path, stored: Path | None) -> list[dict[str, Any]]:
    size = f"{numbers.shape[1]} x {numbers.shape[0]}"
    described = [(folder / "faces.csv", "Labels: a row a face, in stored order.")]
    described += [
        (path, f"Depth ({size} uint16 mm, compressed) and labels; read by depthjax or tensorflow-datasets.")
        for path in sorted(stored.glob("*.array_record*") if stored else ())
    ]
    described += [
        (path, "The networks' square images (float32 in [-1, 1]), or their emotion, subject and frame, for numpy.load.")
        for path in sorted(folder.glob("faces/*/*.np[yz]"))
    ]
    return [_file_object(path, folder, text) for path, text in described]


def _file_object(path: Path, folder: Path, text: str) -> dict[str, Any]:
    inside = path.relative_to(folder).as_posix()
    ending = next(ending for ending in FORMATS if ending in path.name)
    return {
        "@type": "cr:FileObject",
        "@id": inside,
        "name": path.name,
        "description": text,
        "contentUrl": inside,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": FORMATS[ending],
        "sha256": files.file_digest(path),
    }


def _faces_records(numbers: Numbers, faces: StoredFaces) -> dict[str, Any]:
    """A record a face. Names that a CSV reader would take for numbers stay out: the label stands for them."""
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
        "side": ("train or test.", {SIDES[i] for i in np.unique(numbers.side)}),
    }
    columns |= {name: ("sc:Text", text) for name, (text, values) in texts.items() if _is_text(values)}
    return {
        "@type": "cr:RecordSet",
        "@id": "faces",
        "name": "faces",
        "description": "The labels of each face.",
        "key": {"@id": "faces/face"},
        "field": [_column(name, kind, text) for name, (kind, text) in columns.items()],
    }


def _is_text(values: set[str]) -> bool:
    """Whether a CSV reader that guesses types gives these back as they are."""
    return not any(value.strip().lower() in NOT_TEXT or _is_number(value) for value in values)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _column(name: str, kind: str, text: str) -> dict[str, Any]:
    source = {"fileObject": {"@id": "faces.csv"}, "extract": {"column": name}}
    return _field("faces", name, kind, text) | {"source": source}


def _field(record_set: str, name: str, kind: str, text: str) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": f"{record_set}/{name}", "name": name, "description": text, "dataType": kind}


def _emotion_records(numbers: Numbers) -> dict[str, Any]:
    rows = list(enumerate(numbers.emotions))
    return _names("emotions", "The emotions by label.", rows)


def _people_records(numbers: Numbers) -> dict[str, Any]:
    rows = [(int(label), name) for label, name in zip(numbers.people, numbers.names, strict=True)]
    return _names("people", "The people by subject label.", rows)


def _names(record_set: str, text: str, rows: list[tuple[int, str]]) -> dict[str, Any]:
    """An enumeration that carries its own records."""
    return {
        "@type": "cr:RecordSet",
        "@id": record_set,
        "name": record_set,
        "description": text,
        "dataType": "sc:Enumeration",
        "key": {"@id": f"{record_set}/label"},
        "field": [
            _field(record_set, "label", "sc:Integer", "The number."),
            _field(record_set, "name", "sc:Text", "The name."),
        ],
        "data": [{f"{record_set}/label": label, f"{record_set}/name": name} for label, name in rows],
    }


def _responsible(source: Source, numbers: Numbers, settings: configs.Data) -> dict[str, Any]:
    """Croissant's vocabulary of responsible AI: how it came to be, what it is for, what is missing."""
    holes = percent(float(numbers.hole_map.mean())).replace("\u202f", " ")
    kept = {name: getattr(settings, name) for name in ("source", "emotions", "seed", "split", "test_fraction")}
    if settings.source == "depth_heads":
        kept["extra_test_subjects"] = settings.extra_test_subjects
    return {
        "rai:dataCollection": source.collection,
        "rai:dataCollectionType": source.collection_type,
        "rai:dataCollectionMissingData": f"A pixel of 0 mm gave no return: {holes} of the pixels measured.",
        "rai:dataPreprocessingProtocol": [
            "Cropped about the nose; whole millimetres from the camera, not filtered.",
            f"Settings of the run: {json.dumps(kept)}",
        ],
        "rai:dataAnnotationProtocol": ["The emotion that was asked for or rendered; nobody judged the faces."],
        "rai:dataUseCases": list(USES),
        "rai:dataBiases": [source.biases],
        "rai:dataLimitations": [source.limits],
        "rai:personalSensitiveInformation": [source.personal],
        "rai:dataReleaseMaintenancePlan": source.upkeep,
    }
