"""read_results.py FILE…: what stands in result objects, read by pydicom: one JSON list, an entry a file.

SEG: its frames as lists of pixels inside (row * columns + column), each with its segment, its plane's position and the instance that it
was derived from. SR: what was measured, with name and unit.
"""
import json
import sys

import numpy
import pydicom


def segmentation(seg):
    shared = seg.SharedFunctionalGroupsSequence[0]

    def group(frame, name):
        return getattr(frame if name in frame else shared, name)[0]

    masks = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    frames = []
    for frame, mask in zip(seg.PerFrameFunctionalGroupsSequence, masks, strict=True):
        source = group(frame, "DerivationImageSequence").SourceImageSequence[0]
        measures = group(frame, "PixelMeasuresSequence")
        frames.append({
            "segment": int(group(frame, "SegmentIdentificationSequence").ReferencedSegmentNumber),
            "position": [float(v) for v in group(frame, "PlanePositionSequence").ImagePositionPatient],
            "orientation": [float(v) for v in group(frame, "PlaneOrientationSequence").ImageOrientationPatient],
            "spacing": [float(v) for v in measures.PixelSpacing],
            "source": source.ReferencedSOPInstanceUID,
            "inside": numpy.flatnonzero(mask).tolist(),
        })
    return {
        "rows": int(seg.Rows),
        "columns": int(seg.Columns),
        "series": seg.ReferencedSeriesSequence[0].SeriesInstanceUID,
        "segments": [{"number": int(s.SegmentNumber), "label": s.SegmentLabel} for s in seg.SegmentSequence],
        "frames": frames,
    }


def numbers(item, measured=False):
    """Of the measurement groups (125007, DCM): the image library has numbers, too, which nobody measured."""
    concept = item.get("ConceptNameCodeSequence")
    measured = measured or (item.get("ValueType") == "CONTAINER" and concept and concept[0].CodeValue == "125007")
    if measured and item.get("ValueType") == "NUM":
        for value in item.MeasuredValueSequence:
            unit = value.MeasurementUnitsCodeSequence[0]
            yield {"name": item.ConceptNameCodeSequence[0].CodeMeaning, "value": float(value.NumericValue), "unit": unit.CodeValue}
    for child in item.get("ContentSequence", []):
        yield from numbers(child, measured)


def read(path):
    data = pydicom.dcmread(path)
    result = {"modality": data.Modality, "description": data.get("SeriesDescription", "")}
    if data.Modality == "SEG":
        result |= segmentation(data)
    elif data.Modality == "SR":
        result["numbers"] = list(numbers(data))
    return result


json.dump([read(path) for path in sys.argv[1:]], sys.stdout)
