"""Own plot of a surface: plot_my_surface.py SURFACE.h5 PICTURE.pdf, for a surface over two axes.

    export PYTHONPATH=$PWD/tools      # or once: pip install ./tools
    python3 tools/examples/plot_my_surface.py vector.h5 vector.pdf
"""

import sys
from pathlib import Path

try:
    import matplotlib.pyplot as plt

    import nuscan_plots
    from nuscan_plots import draw, style
except ImportError as problem:
    sys.exit(f"error: {problem}; needed are numpy, h5py, matplotlib, and nuscan_plots: pip install ./tools, or export PYTHONPATH=$PWD/tools")

if len(sys.argv) != 3:
    sys.exit("usage: plot_my_surface.py SURFACE.h5 PICTURE.pdf")
source, picture = sys.argv[1], Path(sys.argv[2])
style.use()
try:
    surface = nuscan_plots.load(source)
    if len(surface.axes) != 2:
        sys.exit(f"error: {source}: has {len(surface.axes)} axes ({', '.join(surface.axes)}); this plot needs two")
    figure, axes = plt.subplots(figsize=(5.6, 4.4), layout="constrained")
    draw.plane_frame(axes, surface)
    x, y = (axis.values for axis in surface.axes.values())
    colours = axes.pcolormesh(x, y, surface.delta_chi2.T, vmax=15.0, cmap="cividis", shading="nearest", rasterized=True)
    figure.colorbar(colours, label=r"$\Delta\chi^2$", extend="max")
    draw.plane(axes, surface, style.Style("90% C.L.", "white"), cls=(0.90, 0.68), shade="none")
    draw.save(figure, picture.with_suffix(""), [picture.suffix.removeprefix(".") or "png"])
except nuscan_plots.NuscanError as problem:
    sys.exit(f"error: {problem}")
