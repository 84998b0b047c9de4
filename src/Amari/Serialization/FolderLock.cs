using System.Globalization;
using System.Runtime.InteropServices;
using Amari.Native;
using Microsoft.Win32.SafeHandles;

namespace Amari.Serialization;

/// <summary>A folder that one process at a time writes to, by a lock on the file <c>.lock</c> in it, which names its owner. The system
/// gives the lock up when the owner ends, however it ends; only a file without a lock is then left.</summary>
/// <remarks>Holders in one process share the lock; a run shares its folder with no other run. Where the file system has no locks, a
/// warning says so and nothing is refused. The owner deletes the file before it gives the lock up: whoever has locked it meanwhile finds
/// that its name leads to another file or to none, and begins again.</remarks>
internal sealed partial class FolderLock : IDisposable
{
    /// <summary>The name of the file.</summary>
    public const string FileName = ".lock";

    private const int LongestOwner = 200; // characters that are read of it
    private const int Attempts = 20; // to lock a file that others delete meanwhile
    private const int CloseOnExec = 0x80000; // O_RDONLY | O_CLOEXEC of Linux
    private static readonly Dictionary<string, FolderLock> Held = new(StringComparer.Ordinal);

    private readonly string _path;
    private FileStream? _file; // null while it is not locked
    private bool _isLockable = true;
    private string _owner = "";
    private int _holders;
    private bool _isRun;

    private FolderLock(string path)
    {
        _path = path;
        Lock();
    }

    /// <summary>Takes the folder for this process, or joins its holders; each of them disposes what it gets.</summary>
    /// <param name="folder">Exists.</param>
    /// <param name="run">Whether it is for a run, which has the folder for itself.</param>
    /// <exception cref="FolderInUseException">Another process has it, or another run of this one; the message says who.</exception>
    public static Holder Take(string folder, bool run = false)
    {
        string path = Path.Combine(Path.GetFullPath(folder), FileName);
        lock (Held)
        {
            if (!Held.TryGetValue(path, out var held))
                Held[path] = held = new(path);
            else if (run && held._isRun)
                throw new FolderInUseException(path, "another run of this process");
            held._holders++;
            held._isRun |= run;
            return new(held, run);
        }
    }

    /// <summary>Locks the file again if the folder was deleted and made again meanwhile.</summary>
    private void Renew()
    {
        lock (Held)
        {
            if (!_isLockable || (_file is not null && Owner(_path) == _owner))
                return;
            _file?.Dispose();
            Lock();
        }
    }

    private void Lock()
    {
        _file = null;
        try
        {
            for (int attempt = 0; attempt < Attempts; attempt++)
            {
                _file?.Dispose();
                _file = null;
                _file = Open(_path);
                _owner = Write(_file);
                if (Owner(_path) == _owner || OperatingSystem.IsWindows())
                    break;
            }
            using var second = Open(_path); // a lock that works refuses this one
            _isLockable = false;
            _file!.Dispose();
            _file = null;
            Warnings.Once(
                $"{Path.GetDirectoryName(_path)} is on a file system without file locks: " + "see to it that no other process writes there."
            );
        }
        catch (IOException e) when (IsLocked(e))
        {
            if (_file is null)
                throw new FolderInUseException(_path, Owner(_path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _isLockable = false;
            Warnings.Once($"{Path.GetDirectoryName(_path)} cannot be locked against other processes: {e.Message}");
        }
    }

    private static FileStream Open(string path) => new(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);

    private static string Write(FileStream file)
    {
        string owner = string.Create(
            CultureInfo.InvariantCulture,
            $"process {Environment.ProcessId} on {Environment.MachineName} (since {DateTime.UtcNow:yyyy-MM-dd HH:mm:ss.fff} UTC)"
        );
        try
        {
            file.SetLength(0);
            file.Write(System.Text.Encoding.UTF8.GetBytes(owner));
            return owner;
        }
        catch (IOException) // a full disk: the lock holds without a name
        {
            return "";
        }
    }

    /// <summary>What the file says, read past the lock: .NET's own readers ask for one.</summary>
    private static string Owner(string path)
    {
        if (OperatingSystem.IsWindows())
            return ""; // a locked file cannot be read there
        using var handle = new SafeFileHandle(Open(path, OperatingSystem.IsLinux() ? CloseOnExec : 0), ownsHandle: true);
        if (handle.IsInvalid)
            return "";
        using var reader = new StreamReader(new FileStream(handle, FileAccess.Read, bufferSize: 0));
        char[] text = new char[LongestOwner];
        return new string(text, 0, reader.ReadBlock(text)).ReplaceLineEndings(" ").Trim();
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    // EWOULDBLOCK of Linux and of macOS; a sharing violation of Windows.
    private static bool IsLocked(IOException e) => e.HResult is 11 or 35 || (e.HResult & 0xFFFF) is 32 or 33;

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_file is null)
            return;
        try
        {
            if (_owner.Length > 0 && Owner(_path) == _owner)
                File.Delete(_path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It stays, without a lock.
        }
        _file.Dispose();
    }

    /// <summary>One who holds the folder.</summary>
    internal sealed class Holder(FolderLock of, bool run) : IDisposable
    {
        private bool _isDisposed;

        /// <summary>Makes sure that the folder is still this process's, after it may have been deleted and made again.</summary>
        /// <exception cref="FolderInUseException">Another process has it now.</exception>
        public void Renew() => of.Renew();

        /// <summary>One that was forgotten gives the folder up as well.</summary>
        ~Holder() => Release();

        /// <inheritdoc/>
        public void Dispose()
        {
            Release();
            GC.SuppressFinalize(this);
        }

        private void Release()
        {
            lock (Held)
            {
                if (_isDisposed)
                    return;
                _isDisposed = true;
                if (run)
                    of._isRun = false;
                if (--of._holders > 0)
                    return;
                Held.Remove(of._path);
                of.Dispose();
            }
        }
    }
}

/// <summary>A folder that another process writes to.</summary>
/// <param name="path">Its lock.</param>
/// <param name="owner">Who has it; empty if that is not known.</param>
internal sealed class FolderInUseException(string path, string owner)
    : IOException(
        $"The folder '{Path.GetDirectoryName(path)}' is in use by {(owner.Length > 0 ? owner : "another process")}: "
            + "wait until that has ended, or choose another folder."
    );
