namespace Penstock.Commands;

/// <summary>The files that commands read and write. Their faults are said in the words of all commands, such as
/// <c>cannot read access.log: there is no such file</c>, not in those of .NET.</summary>
internal static class CommandFile
{
    private const int DiskIsFull = 28; // ENOSPC
    private const int QuotaIsUsed = 122; // EDQUOT
    private const int FileSystemIsReadOnly = 30; // EROFS

    /// <summary>Opens a file that another program may be writing.</summary>
    /// <exception cref="IOException">Its message is for the operator.</exception>
    public static FileStream Read(string path)
    {
        try
        {
            return path.Length == 0 ? throw new FileNotFoundException() : new(path, FileMode.Open, FileAccess.Read,
                FileShare.ReadWrite | FileShare.Delete, bufferSize: 0, FileOptions.SequentialScan);
        }
        catch (Exception failure) when (IsExpected(failure))
        {
            throw new IOException(CannotRead(path, failure), failure);
        }
    }

    /// <summary>Whether a command must not replace a file, because it holds something.</summary>
    /// <returns>Null: it may be written.</returns>
    public static string? TakenFault(string path, bool force) =>
        path.Length == 0 ? "the name of the file is empty"
            : !force && new FileInfo(path) is { Exists: true, Length: > 0 }
                ? $"{path} exists; --force replaces it" : null;

    /// <summary>Whether it is a failure of the machine or a wrong path, and not a bug.</summary>
    public static bool IsExpected(Exception failure) =>
        failure is IOException or UnauthorizedAccessException;

    public static string CannotRead(string path, Exception failure) =>
        $"cannot read {Shown(path)}: {Cause(path, failure, "file")}";

    public static string CannotWrite(string path, Exception failure) =>
        $"cannot write {Shown(path)}: {Cause(path, failure, "folder")}";

    /// <summary>What .NET says about a file that a command has opened without this class.</summary>
    public static string Sentence(Exception failure) => failure switch
    {
        _ when failure.Message.StartsWith("cannot ", StringComparison.Ordinal) => failure.Message, // from here
        FileNotFoundException { FileName: { } path } => CannotRead(path, failure),
        UnauthorizedAccessException or DirectoryNotFoundException
            when failure.Message.Split('\'') is [_, var path, _] =>
                $"cannot open {path}: {Cause(path, failure, "folder")}",
        _ => (failure.InnerException ?? failure).Message.TrimEnd('.'),
    };

    private static string Shown(string path) => path.Length == 0 ? "''" : Terminal.Plain(path);

    /// <param name="missing">What is missing if the path does not exist.</param>
    private static string Cause(string path, Exception failure, string missing) => failure switch
    {
        _ when Directory.Exists(path) => "it is a folder",
        FileNotFoundException or DirectoryNotFoundException => $"there is no such {missing}",
        UnauthorizedAccessException => "permission is denied",
        IOException { HResult: DiskIsFull } => "the disk is full",
        IOException { HResult: QuotaIsUsed } => "the quota of the disk is used up",
        IOException { HResult: FileSystemIsReadOnly } => "the file system is read-only",
        PathTooLongException => "the name is too long",
        _ => failure.Message.Split(" : '")[0].TrimEnd('.'), // "Input/output error : '/path'"
    };
}
