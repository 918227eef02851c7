"""One recording from a file or folder, told apart by what is in it."""

import re
from pathlib import Path

from ..signals import canonical_units
from .devices import read_axivity, read_geneactiv
from .empatica import E4_NAMES, looks_like_e4, read_e4
from .files import AXIVITY, GENEACTIV, beginning, device_contents
from .recording import Recording
from .tables import read_table


def read_recording(
    path,
    *,
    participant=None,
    sensor="accelerometer",
    units=None,
    sfreq=None,
    columns=None,
    time=None,
    time_unit=None,
):
    """Read one recording from a file or folder as the device or its software left it.

    What the file is, is told by its content: Axivity AX3 and AX6 (`.cwa`), GENEActiv (`.bin`), an Empatica E4 export
    (the folder, or one of its files), or a table as text with commas, semicolons or tabs, and decimal points or commas.
    Any of them may be gzipped. Samples stay as they are, and so does their clock: nothing is resampled or filled in.

    - A block of a `.cwa` or a page of a `.bin` that is damaged becomes a gap, and a warning says how many there were.
      What is whole is decoded by scikit-digital-health.
    - Rows of a table with a missing value become gaps. Rows out of order are put in order and rows with the time
      stamp of another are left out, with a warning that counts them.
    - Where time stamps are rounded or jitter about an even clock, the even clock is used: a line through them, stretch
      by stretch between gaps. Rounding to milliseconds or seconds therefore does not change the rate.

    Parameters
    ----------
    path : str or path
    participant : str, optional
        By default the name of the file without its ending; for an E4 export the name of the folder.
    sensor : str, default="accelerometer"
        Also "gyroscope" (AX6, tables); "bvp", "eda", "temperature" (E4). In a table, any other name looks for a
        column of that name.
    units : str, optional
        Of a table. An accelerometer with gravity in it is recognised as g, m/s^2 or mg by its magnitude, and what is
        declared is checked against that; any other sensor is "a.u.". Device files know theirs.
    sfreq : float, optional
        Samples per second of a table without time stamps. With them it has to agree, to 5 %.
    columns : sequence of str or int, optional
        Channels of a table, by name or place, by default its x, y and z of the accelerometer, or the three numeric
        columns left. A place as text, such as "7", is one where no column is called so.
    time : str, int or False, optional
        Time column of a table, by default found by its name or because it alone increases. False: look for none.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Of a numeric time column, by default the one that makes a rate of 2 to 2000 Hz, or 0.5 Hz and more where
        the numbers are of the size that time since 1970 has. Since 1970 or since the start, whichever they say.

    Returns
    -------
    Recording
        `start` has a time zone only where the file writes one; seconds since 1970 are read as UTC.

    Raises
    ------
    FileNotFoundError
    ValueError
        The file is empty, cut off, of another kind, or does not say enough; the message says what would help.
    ImportError
        The file is of Axivity or GENEActiv, and scikit-digital-health is not there: it comes with "wearembed[devices]".

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np, pandas as pd
    >>> rows = pd.DataFrame({"time": np.arange(500) / 50, "x": 0.0, "y": 0.0, "z": 1.0})
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "P07.csv"
    >>> rows.to_csv(file, index=False)
    >>> read_recording(file)
    Recording('P07', participant='P07', 3 channels × 500 samples at 50 Hz, 'g', 10 s from 1970-01-01 00:00:00)
    """
    path = Path(path)
    table = {"units": units, "sfreq": sfreq, "columns": columns, "time": time, "time_unit": time_unit}
    if path.is_dir():
        found = read_e4(path, sensor)
        name = path.resolve().name
    else:
        start = beginning(path)
        name = re.sub(r"\.gz$", "", path.name).rsplit(".", 1)[0]
        if start.startswith(AXIVITY):
            found = read_axivity(device_contents(path), path, sensor)
        elif start.startswith(GENEACTIV):
            found = read_geneactiv(device_contents(path), path, sensor)
        elif path.name in E4_NAMES and looks_like_e4(start):
            found, name = read_e4(path.parent, sensor, path.name), path.resolve().parent.name
        else:
            found, table = read_table(path, start, sensor, **table), {}
    given = [key for key, value in table.items() if value is not None]
    if given and (given != ["units"] or canonical_units(units) != found["units"]):
        raise ValueError(
            f"Expected {', '.join(given)} for tables only: {path.name} knows its own rate and holds "
            f"{found['units']!r}. Leave them out; to convert, use wearembed.signals.convert_units."
        )
    return Recording(participant=name if participant is None else participant, name=name, **found)
