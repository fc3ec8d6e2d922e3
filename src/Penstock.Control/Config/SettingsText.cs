using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Penstock.Control.Config;

/// <summary>Writes settings as YAML, with the origin of each value behind it. Penstock can read the text again, if no
/// secret is hidden in it.</summary>
internal static class SettingsText
{
    /// <param name="withDefaults">Also write the values that are not in the file.</param>
    public static string Write(IReadOnlyList<Setting> settings, bool withDefaults)
    {
        using var text = new StringWriter { NewLine = "\n" };
        var emitter = new Emitter(text, EmitterSettings.Default.WithNewLine("\n").WithBestWidth(int.MaxValue));
        emitter.Emit(new StreamStart());
        emitter.Emit(new DocumentStart(null, null, isImplicit: true));
        WriteParts(emitter, settings, withDefaults);
        emitter.Emit(new DocumentEnd(isImplicit: true));
        emitter.Emit(new StreamEnd());
        return text.ToString();
    }

    private static void WriteParts(Emitter emitter, IReadOnlyList<Setting> parts, bool withDefaults)
    {
        emitter.Emit(new MappingStart());
        foreach (Setting part in parts.Where(part => withDefaults || !part.IsDefault))
        {
            emitter.Emit(new Scalar(part.Name));
            WriteValue(emitter, part, withDefaults);
        }
        emitter.Emit(new MappingEnd());
    }

    private static void WriteValue(Emitter emitter, Setting setting, bool withDefaults)
    {
        if (setting.IsList)
        {
            emitter.Emit(new SequenceStart(default, default, isImplicit: true,
                setting.Parts.Count == 0 ? SequenceStyle.Flow : SequenceStyle.Block));
            foreach (Setting item in setting.Parts)
            {
                WriteValue(emitter, item, withDefaults);
            }
            emitter.Emit(new SequenceEnd());
            if (setting.Parts.Count == 0)
            {
                emitter.Emit(new Comment(setting.Origin, isInline: true));
            }
            return;
        }
        if (setting.HasShortForm && setting.Parts.Skip(1).All(static part => part.IsDefault))
        {
            setting = setting.Parts[0];
        }
        if (setting.Text is null)
        {
            WriteParts(emitter, setting.Parts, withDefaults);
            return;
        }
        emitter.Emit(new Scalar(setting.Text));
        emitter.Emit(new Comment(setting.Origin, isInline: true));
    }
}
