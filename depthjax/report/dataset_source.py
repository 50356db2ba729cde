"""What each source of faces is: whose, under which licence, for what. Page, card and Croissant say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
IKFDB_DOI = "10.1007/s42452-020-03999-y"
USES = (
    "Training and testing recognisers of posed facial expressions from depth, and generators of such faces.",
    "Not for identifying, deceiving or judging people: a posed expression is not a feeling.",
)


@dataclass(frozen=True)
class Source:
    """A source of faces.

    Attributes:
        title: a name for headings.
        description: what the faces are.
        licence: a sentence.
        licence_node: of schema.org: a URL or a CreativeWork.
        creators: (schema.org type, name).
        citation: BibTeX, or empty.
        published: ISO date of the set's first publication, or empty: it is not published.
        url: of the set or its description, or empty.
        personal: what of it is personal data.
        biases: what it does not show of people.
        limits: what it is not.
        collection: how it came to be.
        collection_type: in the terms of Croissant's RAI vocabulary, or empty.
        upkeep: who keeps it, and where it may go.
        version: of the set's contents.
    """

    title: str
    description: str
    licence: str
    licence_node: str | dict[str, Any]
    creators: tuple[tuple[str, str], ...]
    citation: str
    published: str
    url: str
    personal: str
    biases: str
    limits: str
    collection: str
    collection_type: str
    upkeep: str
    version: str = "1.0.0"


SOURCES: dict[str, Source] = {
    "depth_heads": Source(
        title="Rendered depth faces (depth_heads)",
        description=(
            "Depth faces of people who do not exist: the CC0 head of MakeHuman / MPFB2 with random shape, seven EMFACS "
            "expressions and head pose, seen by a simulated Kinect v2."
        ),
        licence="CC0 1.0. The head model is CC0 (MakeHuman / MPFB2), and nothing is claimed for its renderings.",
        licence_node=CC0,
        creators=(("Organization", "depthjax"),),
        citation="@misc{depthjax_depth_heads, title = {depth_heads: rendered depth faces with emotions}, "
        "author = {{depthjax}}, year = {2026}, note = {Head model: MakeHuman / MPFB2, CC0}}",
        published="2026-11-23",
        url="https://github.com/depthjax/depthjax",
        personal="None: no face is that of a person. Age, sex and ancestry are settings of a shape model.",
        biases=(
            "Ancestry and age are those that the head model's authors drew; hair is a bump, skin has no pores, "
            "nobody wears glasses."
        ),
        limits="A stand-in for real people: a result on these faces says nothing yet about real ones.",
        collection="Rendered from a seed: head model, facial actions, z-buffer, and a noise model of the Kinect v2.",
        collection_type="Others",
        upkeep="Not kept anywhere: made again from the settings of the run.",
    ),
    "ikfdb": Source(
        title="IKFDB (a copy of the user's own)",
        description=(
            "Faces of the Iranian Kinect Face Database (40 people, Kinect v2, posed expressions), read from a copy "
            "that the user obtained from its authors."
        ),
        licence=(
            "The licence agreement of IKFDB, which forbids publishing any sample. The data are the user's and stay "
            "where they are: neither this page nor the files beside it may be passed on, for they show faces."
        ),
        licence_node={
            "@type": "sc:CreativeWork",
            "name": "IKFDB licence agreement: on signed request to its authors; no sample may be published",
            "url": f"https://doi.org/{IKFDB_DOI}",
        },
        creators=(("Person", "Seyed Muhammad Hossein Mousavi"), ("Person", "S. Younes Mirinezhad")),
        citation=(
            "@article{mousavi2021ikfdb, title = {Iranian kinect face database (IKFDB): a color-depth based face "
            "database collected by kinect v.2 sensor}, author = {Mousavi, Seyed Muhammad Hossein and Mirinezhad, "
            f"S. Younes}}, journal = {{SN Applied Sciences}}, volume = {{3}}, number = {{1}}, pages = {{19}}, "
            f"year = {{2021}}, doi = {{{IKFDB_DOI}}}}}"
        ),
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
        licence=(
            "Not known to depthjax. The data are the user's and stay where they are: ask whoever gave them before "
            "passing on this page or the files beside it, for they show faces."
        ),
        licence_node={
            "@type": "sc:CreativeWork",
            "name": "Not stated: held by the owner of the images",
        },
        creators=(("Organization", "The owner of the images"),),
        citation="",
        published="",
        url="",
        personal="If these are people: depth images of identifiable faces, which are biometric data.",
        biases="Not known to depthjax: whoever recorded the faces knows who is missing.",
        limits="Labels and people are what file names and folders say; nobody checked them.",
        collection="Read from the user's folder, checked, cropped and labelled by depthjax.",
        collection_type="",
        upkeep="Kept by the user; not published.",
    ),
}
