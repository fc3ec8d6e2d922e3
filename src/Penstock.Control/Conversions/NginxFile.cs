using System.Text;

namespace Penstock.Control.Conversions;

/// <summary>A directive of nginx: a name, words, and a block or none.</summary>
internal sealed record NginxDirective(string Name, IReadOnlyList<string> Words, int Line,
    IReadOnlyList<NginxDirective>? Block)
{
    /// <summary>As it is written in the file, without its block.</summary>
    public string Text => string.Join(' ', [Name, .. Words]);

    public string Word(int index) => index < Words.Count ? Words[index] : "";
}

/// <summary>Splits a file of nginx into directives. Words end at white space, <c>;</c>, <c>{</c> and <c>}</c>; quotes
/// hold a word together; <c>#</c> begins a comment.</summary>
internal sealed class NginxFile
{
    private const int MaxDepth = 32;

    private readonly string _text;
    private int _at;
    private int _line = 1;

    private NginxFile(string text) => _text = text;

    /// <param name="fault">Where and why the text is not in this format; empty if it is.</param>
    public static IReadOnlyList<NginxDirective> Parse(string text, out (int Line, string Why)? fault)
    {
        var file = new NginxFile(text);
        fault = null;
        try
        {
            return file.Block(depth: 0);
        }
        catch (FormatException wrong)
        {
            fault = (file._line, wrong.Message);
            return [];
        }
    }

    private List<NginxDirective> Block(int depth)
    {
        if (depth > MaxDepth)
        {
            throw new FormatException($"blocks are nested deeper than {MaxDepth} levels");
        }
        var all = new List<NginxDirective>();
        var words = new List<string>();
        int line = 0;
        while (Next() is { } token)
        {
            if (token.IsMark && token.Text == "}")
            {
                return words.Count > 0 ? throw new FormatException($"';' is missing after '{words[^1]}'")
                    : depth == 0 ? throw new FormatException("this '}' closes nothing") : all;
            }
            if (!token.IsMark)
            {
                line = words.Count == 0 ? _line : line;
                words.Add(token.Text);
                continue;
            }
            if (words.Count == 0)
            {
                throw new FormatException($"a name is missing before '{token.Text}'");
            }
            (string name, List<string> rest) = (words[0], words[1..]);
            all.Add(new(name, rest, line, token.Text == "{" ? Block(depth + 1) : null));
            words = [];
        }
        return words.Count > 0 ? throw new FormatException($"';' is missing after '{words[^1]}'")
            : depth > 0 ? throw new FormatException("'}' is missing at the end") : all;
    }

    private (string Text, bool IsMark)? Next()
    {
        SkipBlanks();
        if (_at >= _text.Length)
        {
            return null;
        }
        char first = _text[_at];
        if (first is ';' or '{' or '}')
        {
            _at++;
            return (first.ToString(), true);
        }
        return (first is '"' or '\'' ? Quoted(first) : Bare(), false);
    }

    private void SkipBlanks()
    {
        while (_at < _text.Length && (char.IsWhiteSpace(_text[_at]) || _text[_at] == '#'))
        {
            if (_text[_at] == '#')
            {
                int end = _text.IndexOf('\n', _at);
                _at = end < 0 ? _text.Length : end;
                continue;
            }
            _line += _text[_at++] == '\n' ? 1 : 0;
        }
    }

    private string Bare()
    {
        int start = _at;
        while (_at < _text.Length && !char.IsWhiteSpace(_text[_at]) && _text[_at] is not (';' or '}'))
        {
            if (_text[_at] == '{' && _text[_at - 1] != '$') // "${name}" is a variable
            {
                break;
            }
            bool variable = _text[_at] == '{';
            _at += _text[_at] == '\\' ? 2 : 1;
            if (variable)
            {
                int end = _text.IndexOf('}', _at);
                _at = end < 0 ? _text.Length : end + 1;
            }
        }
        _at = Math.Min(_at, _text.Length);
        return _text[start.._at];
    }

    private string Quoted(char quote)
    {
        var word = new StringBuilder();
        for (_at++; _at < _text.Length && _text[_at] != quote; _at++)
        {
            if (_text[_at] == '\\' && _at + 1 < _text.Length && _text[_at + 1] == quote)
            {
                _at++;
            }
            _line += _text[_at] == '\n' ? 1 : 0;
            word.Append(_text[_at]);
        }
        if (_at >= _text.Length)
        {
            throw new FormatException($"the quote {quote} is not closed");
        }
        _at++;
        return word.ToString();
    }
}
