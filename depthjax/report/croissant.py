"""What each source of faces is, and a prepared set as Croissant metadata (MLCommons, version 1.1)."""

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from depthjax import config as configs
from depthjax import files
from depthjax.data.load import READ_BY
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
USES = (
    "Training and testing recognisers of posed facial expressions from depth, and generators of such faces.",
    "Not for identifying, deceiving or judging people: a posed expression is not a feeling.",
)


@dataclass(frozen=True)
class Source:
    """A source of faces, as sources.toml describes it."""

    title: str  # a name for headings
    description: str  # what the faces are
    licence: str  # a sentence
    licence_node: str | dict[str, Any]  # of schema.org: a URL or a CreativeWork
    creators: list[list[str]]  # (schema.org type, name)
    personal: str  # what of it is personal data
    biases: str  # what it does not show of people
    limits: str  # what it is not
    collection: str  # how it came to be
    labelling: str  # where the emotions come from
    upkeep: str  # who keeps it, and where it may go
    citation: str = ""  # BibTeX
    published: str = ""  # ISO date of the set's first publication
    url: str = ""  # of the set or its description
    collection_type: str = ""  # in the terms of Croissant's RAI vocabulary


_TEXTS = tomllib.loads((resources.files("depthjax.report") / "sources.toml").read_text("utf-8"))
SOURCES = {name: Source(**fields) for name, fields in _TEXTS.items()}


def source_of(source: str, path: str) -> Source:
    """Return what faces of this source are; a user's own go by the name of their folder `path`."""
    known = SOURCES[source]
    name = clean(Path(path).name) or "of the user"
    title, description = (text.replace("{name}", name) for text in (known.title, known.description))
    return replace(known, title=title, description=description)


def croissant(
    numbers: Numbers, faces: StoredFaces, settings: configs.Data, folder: Path, *, stored: Path
) -> dict[str, Any]:
    """Return what croissant.json holds; `stored` in the work folder holds the set's array_record files."""
    source = source_of(settings.source, settings.path)
    size = f"{numbers.shape[1]} x {numbers.shape[0]}"
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
            _names("subjects", "The subjects by label.", zip(numbers.subjects.tolist(), numbers.names, strict=True)),
        ],
        # The vocabulary of responsible AI: how the set came to be, what it is for, what is missing.
        "rai:dataCollection": source.collection,
        "rai:dataCollectionType": source.collection_type,
        "rai:dataCollectionMissingData": f"A pixel of 0 mm is invalid: {100 * numbers.invalid_map.mean():.1f} % "
        "of the pixels measured.",
        "rai:dataPreprocessingProtocol": [
            "A crop about the nose, in whole millimetres: from the camera, or for grey levels from an arbitrary start. "
            "Frames and crops that were resampled to one scale are interpolated on surfaces; nothing else is filtered.",
            f"Settings of the run: {json.dumps(_recorded(settings))}",
        ],
        "rai:dataAnnotationProtocol": [source.labelling],
        "rai:dataUseCases": list(USES),
        "rai:dataBiases": [source.biases],
        "rai:dataLimitations": [source.limits],
        "rai:personalSensitiveInformation": [source.personal],
        "rai:dataReleaseMaintenancePlan": source.upkeep,
    }
    return {key: value for key, value in found.items() if value}


def _recorded(settings: configs.Data) -> dict[str, Any]:
    """Settings that say how the faces were made or read, and divided; of files no more than the name."""
    names = ["source", "emotions", "seed", "split", "test_fraction"]
    if settings.source == "depth_heads":
        names.append("extra_test_subjects")
    else:
        names += [name for name in READ_BY if name not in (*names, "path")]
    recorded = {name: getattr(settings, name) for name in names}
    return recorded | ({"focal_px": Path(settings.focal_px).name} if "focal_px" in names else {})


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
        "subject": ("sc:Integer", "Subject as a number: see the record set subjects."),
        "frame": ("sc:Integer", "Number of the frame within its subject and emotion."),
    }
    texts = {
        "emotion": ("Emotion by name.", set(numbers.emotions)),
        "subject_name": ("Subject by name.", set(numbers.names)),
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
