using System.Text;

namespace Penstock.Control.Acme;

/// <summary>Keeps items in files that only the owner can read: a folder for each CA, a file for each item. A file is
/// written beside the old one and then takes its name, so that a kill or a power failure leaves one of the two.
/// </summary>
internal sealed class AcmeFiles(string folder) : IAcmeStorage
{
    private const UnixFileMode FileMode600 = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode FolderMode700 = FileMode600 | UnixFileMode.UserExecute;

    /// <summary>Another process has locked the file: EAGAIN of Linux.</summary>
    private const int InUse = 11;

    private readonly string _folder = Path.GetFullPath(folder);
    private FileStream? _lock;

    public string Name => $"the folder {_folder}";

    public bool IsShared => false;

    public IReadOnlyDictionary<AcmeItem, string> Read(IReadOnlyCollection<AcmeItem> items) => Use(() =>
    {
        var found = new Dictionary<AcmeItem, string>();
        foreach (AcmeItem item in items)
        {
            string path = PathOf(item);
            if (File.Exists(path))
            {
                found[item] = File.ReadAllText(path);
            }
        }
        return found;
    });

    public void Write(AcmeItem item, string? text) => Use(() =>
    {
        string path = PathOf(item);
        MakeFolder(_folder);
        MakeFolder(Path.GetDirectoryName(path)!);
        if (text is null)
        {
            File.Delete(path);
            return true;
        }
        string next = path + ".new";
        File.Delete(next); // of a process that was killed here
        using (var file = new FileStream(next, new FileStreamOptions
        {
            Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = FileMode600,
        }))
        {
            file.Write(Encoding.UTF8.GetBytes(text));
            file.Flush(flushToDisk: true);
        }
        File.Move(next, path, overwrite: true);
        return true;
    });

    public long Version() => 0;

    public long Nodes() => 1;

    /// <summary>Takes a lock on a file, which the kernel ends with the process.</summary>
    public bool TryLead() => Use(() =>
    {
        MakeFolder(_folder);
        string path = Path.Combine(_folder, "lock");
        try
        {
            _lock = new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None,
                UnixCreateMode = FileMode600,
            });
        }
        catch (IOException e) when (e.HResult == InUse)
        {
            return false;
        }
        return true;
    });

    public void EndLead()
    {
        _lock?.Dispose();
        _lock = null;
    }

    public void Dispose() => EndLead();

    /// <summary>The mode is only for a folder that this call makes, and only for the last one of the path.</summary>
    private static void MakeFolder(string path) => Directory.CreateDirectory(path, FolderMode700);

    /// <summary>A URL has no character that its escaped form has not, so that two CAs never share a folder.</summary>
    private string PathOf(AcmeItem item)
    {
        const string Scheme = "https://";
        string ca = item.Directory.StartsWith(Scheme, StringComparison.Ordinal)
            ? item.Directory[Scheme.Length..] : item.Directory;
        return Path.Combine(_folder, Uri.EscapeDataString(ca), item.Name);
    }

    private T Use<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new AcmeException($"{Name} cannot be used: {e.Message}", e);
        }
    }
}
