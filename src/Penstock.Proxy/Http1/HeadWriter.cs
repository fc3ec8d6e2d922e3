using System.Buffers.Text;

namespace Penstock.Proxy.Http1;

/// <summary>Appends to a span, which the caller must make large enough. An overrun is a bug and throws.</summary>
internal ref struct HeadWriter(Span<byte> target)
{
    private readonly Span<byte> _target = target;

    public int Length { get; private set; }

    public void Add(scoped ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_target[Length..]);
        Length += bytes.Length;
    }

    public void Add(long number)
    {
        Utf8Formatter.TryFormat(number, _target[Length..], out int written);
        Length += written;
    }

    public void AddHex(long number)
    {
        Utf8Formatter.TryFormat(number, _target[Length..], out int written, new System.Buffers.StandardFormat('x'));
        Length += written;
    }

    public void AddField(scoped ReadOnlySpan<byte> name, scoped ReadOnlySpan<byte> value)
    {
        Span<byte> at = _target.Slice(Length, name.Length + value.Length + 4);
        name.CopyTo(at);
        at[name.Length] = (byte)':';
        at[name.Length + 1] = (byte)' ';
        value.CopyTo(at[(name.Length + 2)..]);
        at[^2] = (byte)'\r';
        at[^1] = (byte)'\n';
        Length += at.Length;
    }
}
