"""plots.py - the bench's plots, by matplotlib, as SVG that takes its colours from the page.

Every colour is drawn as a number of its own and replaced by a CSS variable afterwards, so that
one drawing serves light and dark. Text stays text, in the page's font. Each plot is drawn twice:
wide, with names at the ends of its lines, and narrow, where the legend under it has the names.
"""

import io
import re
from math import log10

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator  # noqa: E402

import words  # noqa: E402

# (CSS variable, width, dashes, marker)
STYLES = {
    "myqueue-postgres": ("--s-postgres", 2.6, "-", "o"),
    "myqueue-sqlite": ("--s-sqlite", 2.6, "-", "s"),
    "myqueue-memory": ("--s-memory", 2.6, "-", "^"),
    "H": ("--s-bare", 1.8, (0, (4, 3)), ""),
    "redis": ("--s-redis", 1.5, "-", "D"),
    "nats": ("--s-nats", 1.5, "-", "v"),
    "rabbitmq": ("--s-rabbitmq", 1.5, "-", "P"),
    "beanstalkd": ("--s-beanstalkd", 1.5, "-", "X"),
    "pgq": ("--s-pgq", 1.5, "-", "d"),
}
OTHER = ("--muted", 1.5, ":", ".")
VARIABLES = ["--text", "--muted", "--line"] + [style[0] for style in STYLES.values()]
COLOURS = {name: "#0102%02x" % (i + 1) for i, name in enumerate(VARIABLES)}
UNITS_A_PIXEL = 0.75  # matplotlib's SVG counts in points
WIDE = (1048, 460)
NARROW = (358, 330)
LABEL_GAP = 15  # pixels between two names at the ends of lines
PERCENTILES = [0.5, 0.9, 0.99, 0.999, 0.9999]  # that are marked


def style(system):
    return STYLES.get(system, OTHER)


def colour(system):
    return COLOURS[style(system)[0]]


def drawing(size):
    figure = pyplot.figure(figsize=(size[0] / 96, size[1] / 96), dpi=96)
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(COLOURS["--muted"])
    axes.grid(True, axis="y", color=COLOURS["--line"], linewidth=0.8)
    axes.tick_params(colors=COLOURS["--muted"], labelsize=9, length=0)
    axes.tick_params(axis="x", length=3)
    wide = size is WIDE
    margins = (70, 190, 34, 44) if wide else (50, 24, 34, 44)
    left, right, top, bottom = margins
    figure.subplots_adjust(left=left / size[0], right=1 - right / size[0],
                           top=1 - top / size[1], bottom=bottom / size[1])
    return figure, axes


def title(axes, text):
    """What the vertical axis is, above it: nobody has to turn his head."""
    axes.set_title(text, loc="left", fontsize=9.5, color=COLOURS["--text"], pad=12)


def spread(wanted, gap):
    """Heights as near as can be to the wanted ones (ascending), at least a gap apart."""
    groups = []  # [sum of wanted, count]: neighbours that touch lie evenly about their middle
    for height in wanted:
        groups.append([height, 1])
        while len(groups) > 1:
            low, high = groups[-2], groups[-1]
            apart = high[0] / high[1] - low[0] / low[1]
            if apart >= gap * (low[1] + high[1]) / 2:
                break
            groups[-2:] = [[low[0] + high[0], low[1] + high[1]]]
    return [total / count + gap * (i - (count - 1) / 2)
            for total, count in groups for i in range(count)]


def name_ends(figure, axes, ends):
    """`ends`: (system, x, y) of each line's last point."""
    pixel = figure.dpi / 96
    found = sorted((axes.transData.transform((x, y))[1] / pixel, system) for system, x, y in ends)
    right = axes.get_position().x1 * WIDE[0]
    for height, (_, system) in zip(spread([h for h, _ in found], LABEL_GAP), found):
        axes.annotate(words.system(system), ((right + 12) / WIDE[0], height / WIDE[1]),
                      xycoords="figure fraction", va="center_baseline", fontsize=9.5,
                      color=colour(system),
                      weight="bold" if system.startswith("myqueue") else "normal")


def svg(figure, label):
    out = io.StringIO()
    matplotlib.rcParams["svg.hashsalt"] = label  # names in one page must differ by plot
    matplotlib.rcParams["svg.fonttype"] = "none"
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None,
                                                "Type": None})
    pyplot.close(figure)
    return cleaned(out.getvalue(), label)


def cleaned(text, label):
    """Without what a page does not need, and with the page's colours and font."""
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"font: (?:(bold|\d+) )?([\d.]+)px [^;\"]*",
                  r"font-weight: \1; font-size: \2px", text)
    text = text.replace("font-weight: ;", "")
    for name, shown in COLOURS.items():
        text = text.replace(shown, "var(%s)" % name)
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    head = '<svg viewBox="0 0 %s %s" role="img" aria-label="%s" ' \
           'xmlns:xlink="http://www.w3.org/1999/xlink">' % (size[1], size[2], label)
    return head + re.sub(r"\n\s*", "\n", text[text.index(">") + 1:]).strip()


def both(draw, label):
    """The drawing in both sizes; `draw` gets the size."""
    return {"wide": svg(draw(WIDE), label), "narrow": svg(draw(NARROW), label + " (narrow)")}


def grouped(points, key):
    found = {}
    for point in points:
        found.setdefault(point[key], []).append(point)
    return found


def log_ticks(low, high):
    return [step * 10 ** power for power in range(-4, 10) for step in (1, 2, 5)
            if low <= step * 10 ** power <= high]


def thinned(ticks, most):
    """Decades only, when 1-2-5 would be too many."""
    if len(ticks) <= most:
        return ticks
    return [tick for tick in ticks if str("%e" % tick).startswith("1.0")]


# ---- throughput -------------------------------------------------------------------------------


def short(value, _=None):
    """58000 is 58k."""
    if value >= 1e6:
        return "%gM" % (value / 1e6)
    return "%gk" % (value / 1000) if value >= 1000 else "%g" % value


def throughput(points):
    """Messages a second by connections, both on log scales; None without any."""
    systems = grouped(points, "system")
    counts = sorted({point["connections"] for point in points})
    if not counts:
        return None

    def draw(size):
        figure, axes = drawing(size)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        ends = []
        for system, found in systems.items():
            found.sort(key=lambda point: point["connections"])
            x = [point["connections"] for point in found]
            y = [point["messages_per_s"] for point in found]
            _, width, dashes, marker = style(system)
            axes.plot(x, y, color=colour(system), linewidth=width, linestyle=dashes,
                      marker=marker, markersize=5, markeredgewidth=0,
                      zorder=3 if system.startswith("myqueue") else 2)
            ends.append((system, x[-1], y[-1]))
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(FixedLocator(thinned(log_ticks(low, high), 12)))
        axes.yaxis.set_major_formatter(FuncFormatter(short))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_locator(FixedLocator(counts))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: "%d" % value))
        axes.set_xlabel("connections, each with one request in flight", fontsize=9,
                        color=COLOURS["--muted"])
        title(axes, "messages a second")
        if size is WIDE:
            name_ends(figure, axes, ends)
        return figure

    return both(draw, "Throughput by connections")


# ---- latency ----------------------------------------------------------------------------------


def percentile_curve(histogram):
    """(share below, milliseconds) after each bucket."""
    total = sum(count for _, count in histogram)
    seen = 0
    shares, heights = [], []
    for value_us, count in histogram:
        shares.append(seen / total)
        heights.append(max(value_us, 1) / 1000)
        seen += count
    return shares, heights


def in_time(value_ms, _=None):
    if value_ms >= 1000:
        return "%g s" % (value_ms / 1000)
    return "%g ms" % value_ms if value_ms >= 1 else "%g µs" % (value_ms * 1000)


def nines(share):
    """The axis of percentiles: each further nine is as wide as the one before."""
    return -log10(max(1 - share, 1e-9))


def latency(points, label):
    """Latency by percentile, one line a system; None without any."""
    points = [point for point in points if point["histogram"]]
    if not points:
        return None

    def draw(size):
        figure, axes = drawing(size)
        axes.set_yscale("log")
        ends = []
        for point in points:
            shares, heights = percentile_curve(point["histogram"])
            x = [nines(share) for share in shares]
            last = max(i for i, at in enumerate(x) if at <= nines(PERCENTILES[-1]))
            _, width, dashes, _ = style(point["system"])
            axes.plot(x[:last + 1], heights[:last + 1], color=colour(point["system"]),
                      linewidth=width, linestyle=dashes, drawstyle="steps-post",
                      zorder=3 if point["system"].startswith("myqueue") else 2)
            ends.append((point["system"], x[last], heights[last]))
        axes.set_xlim(0, nines(PERCENTILES[-1]))
        axes.xaxis.set_major_locator(FixedLocator([nines(share) for share in PERCENTILES]))
        names = ["%g %%" % (100 * share) for share in PERCENTILES]
        axes.xaxis.set_major_formatter(FuncFormatter(lambda _, i: names[i]))
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(FixedLocator(thinned(log_ticks(low, high), 12)))
        axes.yaxis.set_major_formatter(FuncFormatter(in_time))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("requests that took no longer", fontsize=9, color=COLOURS["--muted"])
        title(axes, "time from due to answer")
        if size is WIDE:
            name_ends(figure, axes, ends)
        return figure

    return both(draw, label)
