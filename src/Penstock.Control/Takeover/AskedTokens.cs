using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;
using Penstock.Control.Telemetry;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Takeover;

/// <summary>A question about tokens, and its answer, in bytes.</summary>
internal static class AskedTokens
{
    /// <summary>Action, cost, hash, the lengths of the client's and the limit's names.</summary>
    public const int QuestionBytes = 17;

    /// <summary>Whether the tokens were there, and those that are left.</summary>
    public const int AnswerBytes = 9;

    private const ushort NoName = ushort.MaxValue;

    public static byte[] Write(BucketAction action, in BucketName bucket, int cost)
    {
        byte[] client = Encoding.UTF8.GetBytes(bucket.Client ?? "");
        byte[] limit = Encoding.UTF8.GetBytes(bucket.Limit ?? "");
        byte[] question = [.. new byte[QuestionBytes], .. client, .. limit];
        question[0] = (byte)action;
        BinaryPrimitives.WriteInt32LittleEndian(question.AsSpan(1), cost);
        BinaryPrimitives.WriteUInt64LittleEndian(question.AsSpan(5), bucket.Hash);
        BinaryPrimitives.WriteUInt16LittleEndian(question.AsSpan(13),
            bucket.Client is null ? NoName : (ushort)client.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(question.AsSpan(15),
            bucket.Limit is null ? NoName : (ushort)limit.Length);
        return question;
    }

    /// <summary>Answers questions on this socket until the other process ends. Runs on a thread of its own.</summary>
    public static void AnswerAll(Socket socket, Limiter limiter, ILogger log)
    {
        byte[] head = new byte[QuestionBytes];
        byte[] answer = new byte[AnswerBytes];
        try
        {
            while (TryFill(socket, head))
            {
                string? client = ReadName(socket, BinaryPrimitives.ReadUInt16LittleEndian(head.AsSpan(13)));
                string? limit = ReadName(socket, BinaryPrimitives.ReadUInt16LittleEndian(head.AsSpan(15)));
                bool enough = limiter.Act((BucketAction)head[0],
                    new(client, limit, BinaryPrimitives.ReadUInt64LittleEndian(head.AsSpan(5))),
                    BinaryPrimitives.ReadInt32LittleEndian(head.AsSpan(1)), out double tokens);
                answer[0] = enough ? (byte)1 : (byte)0;
                BinaryPrimitives.WriteDoubleLittleEndian(answer.AsSpan(1), tokens);
                socket.Send(answer);
            }
        }
        catch (SocketException)
        {
            // The other process has ended.
        }
        catch (Exception bug)
        {
            log.LogError(Events.TakeoverBug, bug, "bug in Penstock: the process before gets no more tokens from this "
                + "one, and limits its last requests by itself");
        }
        finally
        {
            socket.Dispose();
        }
    }

    /// <summary>False at the end of the stream.</summary>
    public static bool TryFill(Socket socket, Span<byte> target)
    {
        while (!target.IsEmpty)
        {
            int count = socket.Receive(target);
            if (count == 0)
            {
                return false;
            }
            target = target[count..];
        }
        return true;
    }

    private static string? ReadName(Socket socket, ushort length)
    {
        if (length == NoName)
        {
            return null;
        }
        byte[] name = new byte[length];
        return TryFill(socket, name) ? Encoding.UTF8.GetString(name) : throw new SocketException();
    }
}

/// <summary>Asks the process that has taken over for tokens, on one socket: few requests still come on the connections
/// of the old process. The loop that asks waits some ten microseconds.</summary>
internal sealed class AskingSuccessor(Socket socket, int process, ILogger log) : Successor, IDisposable
{
    private readonly Lock _asking = new();
    private bool _silent;

    public override bool TryAsk(
        BucketAction action, in BucketName bucket, int cost, out bool enough, out double tokens)
    {
        (enough, tokens) = (false, 0);
        byte[] question = AskedTokens.Write(action, bucket, cost);
        Span<byte> answer = stackalloc byte[AskedTokens.AnswerBytes];
        lock (_asking)
        {
            if (_silent)
            {
                return false;
            }
            try
            {
                socket.Send(question);
                _silent = !AskedTokens.TryFill(socket, answer);
            }
            catch (SocketException)
            {
                _silent = true; // a late answer must not be taken for that to another question
            }
            if (_silent)
            {
                log.LogWarning(Events.SuccessorSilent, "process {Process}, which has taken over, does not answer: the "
                    + "last requests here are limited by the tokens of before", process);
                return false;
            }
        }
        enough = answer[0] == 1;
        tokens = BinaryPrimitives.ReadDoubleLittleEndian(answer[1..]);
        return true;
    }

    public void Dispose() => socket.Dispose();
}
