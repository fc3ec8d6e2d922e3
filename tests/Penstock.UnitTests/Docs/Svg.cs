using System.Globalization;
using System.Text;

namespace Penstock.UnitTests.Docs;

/// <summary>Draws a picture for the documents: few shapes, legible on light and on dark pages, with a title and a
/// description for readers who do not see it.</summary>
internal sealed class Svg
{
    private const string Style = """
        svg { font: 14px system-ui, sans-serif } .bold { font-weight: 600 } .small { font-size: 12px }
        .back { fill: #fff } .text { fill: #1f2328 } .soft { fill: #59636e } .box { fill: #f6f8fa; stroke: #818b98 }
        .line { stroke: #59636e; stroke-width: 1.5; fill: none } .head { fill: #59636e }
        .grid { stroke: #d1d9e0 } .water { fill: #54aeff } .level { stroke: #0969da; stroke-width: 2; fill: none }
        .good { fill: #1a7f37 } .bad { fill: #cf222e }
        @media (prefers-color-scheme: dark) {
        .back { fill: #0d1117 } .text { fill: #f0f6fc } .soft { fill: #9198a1 } .box { fill: #151b23; stroke: #656c76 }
        .line { stroke: #9198a1 } .head { fill: #9198a1 } .grid { stroke: #3d444d } .water { fill: #1f6feb }
        .level { stroke: #4493f8 } .good { fill: #3fb950 } .bad { fill: #f85149 } }
        """;

    private readonly StringBuilder _shapes = new();
    private readonly string _start;

    public Svg(int width, int height, string title, string description) => _start = Format($"""
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"
          role="img">
        <title>{title}</title>
        <desc>{description}</desc>
        <style>
        {Style}
        </style>
        <rect class="back" width="{width}" height="{height}"/>

        """);

    /// <param name="looks">Classes of the style, such as <c>text bold</c>.</param>
    /// <param name="anchor"><c>start</c>, <c>middle</c> or <c>end</c>: which part of the text is at x.</param>
    public void Text(double x, double y, string text, string looks = "text", string anchor = "start") => Add(
        $"""<text class="{looks}" x="{x:0.#}" y="{y:0.#}" text-anchor="{anchor}">{text}</text>""");

    public void Rectangle(double x, double y, double width, double height, string looks = "box") => Add(
        $"""<rect class="{looks}" x="{x:0.#}" y="{y:0.#}" width="{width:0.#}" height="{height:0.#}" rx="3"/>""");

    /// <summary>A box with lines of text in its middle; the first one is bold.</summary>
    public void Box(double x, double y, double width, double height, params ReadOnlySpan<string> lines)
    {
        Rectangle(x, y, width, height);
        double top = y + (height / 2) - (lines.Length * 9) + 14;
        for (int i = 0; i < lines.Length; i++)
        {
            Text(x + (width / 2), top + (i * 18), lines[i], i == 0 ? "text bold" : "soft small", "middle");
        }
    }

    public void Line(string looks, params ReadOnlySpan<(double X, double Y)> points)
    {
        var path = new StringBuilder();
        foreach ((double x, double y) in points)
        {
            path.Append(Format($"{(path.Length == 0 ? "M" : " L")}{x:0.#} {y:0.#}"));
        }
        Add($"""<path class="{looks}" d="{path}"/>""");
    }

    public void Arrow(double fromX, double fromY, double toX, double toY)
    {
        const double Length = 9;
        const double Half = 4;
        double distance = Math.Sqrt(Math.Pow(toX - fromX, 2) + Math.Pow(toY - fromY, 2));
        (double dx, double dy) = ((toX - fromX) / distance, (toY - fromY) / distance);
        (double x, double y) = (toX - (dx * Length), toY - (dy * Length));
        Line("line", (fromX, fromY), (x, y));
        (double sideX, double sideY) = (dy * Half, dx * Half);
        Line("head", (toX, toY), (x - sideX, y + sideY), (x + sideX, y - sideY), (toX, toY));
    }

    /// <summary>An open vessel with water in it.</summary>
    /// <param name="full">From 0 to 1.</param>
    public void Vessel(double x, double y, double width, double height, double full)
    {
        Rectangle(x, y + (height * (1 - full)), width, height * full, "water");
        Line("line", (x, y), (x, y + height), (x + width, y + height), (x + width, y));
    }

    public override string ToString() => _start + _shapes + "</svg>\n";

    private static string Format(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private void Add(FormattableString shape) => _shapes.Append(Format(shape)).Append('\n');
}
