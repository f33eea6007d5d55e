#!/usr/bin/env python3
"""Makes earthquakes.ndjson.gz from the USGS feed of a week: convert_earthquakes.py earthquakes.json OUT.ndjson.gz"""
import datetime
import gzip
import json
import sys


def main():
    with open(sys.argv[1], encoding="utf-8") as source:
        features = json.load(source)["features"]
    features.sort(key=lambda feature: feature["properties"]["time"])
    with open(sys.argv[2], "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as out:
        for feature in features:
            said = feature["properties"]
            longitude, latitude, depth = feature["geometry"]["coordinates"]
            when = datetime.datetime.fromtimestamp(said["time"] // 1000, datetime.timezone.utc)
            fraction = f"{said['time'] % 1000:03d}".rstrip("0")
            event = {
                "id": f"usgs-{feature['id']}",
                "type": "seismic." + said["type"].replace(" ", "-"),
                "source": f"usgs/{said['net']}",
                "time": when.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + "Z",
                "key": said["net"],
                "data": {"mag": said["mag"], "lat": latitude, "lon": longitude, "depth_km": depth,
                         "where": said["place"], "status": said["status"]},
            }
            out.write(json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")


if __name__ == "__main__":
    main()
