using System.Globalization;
using System.Runtime.InteropServices;
using Amari.Native;
using Microsoft.Win32.SafeHandles;

namespace Amari.Serialization;

/// <summary>A lock that lets one process at a time write to a folder. The file <c>.lock</c> in the folder is locked and names its owner.
/// The system releases the lock when the owner ends, even after a crash; only the unlocked file then remains.</summary>
/// <remarks>Holders in one process share the lock, but a run does not share its folder with another run. On a file system without locks a
/// warning is reported and nothing is refused. The owner deletes the file before it releases the lock. A process that locked the file in
/// the meantime sees that the name leads to another file or to none, and tries again.</remarks>
internal sealed partial class FolderLock : IDisposable
{
    /// <summary>The name of the lock file.</summary>
    public const string FileName = ".lock";

    private const int MaxOwnerLength = 200; // characters that are read
    private const int Attempts = 20; // to lock a file that others may delete at the same time
    private const int CloseOnExec = 0x80000; // O_RDONLY | O_CLOEXEC on Linux
    private static readonly Dictionary<string, FolderLock> Held = new(StringComparer.Ordinal);

    private readonly string _path;
    private FileStream? _file; // null while not locked
    private bool _isLockable = true;
    private string _owner = "";
    private int _holders;
    private bool _isRun;

    private FolderLock(string path)
    {
        _path = path;
        Lock();
    }

    /// <summary>Locks the folder for this process, or joins the holders of its lock. Each caller disposes its result.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="run">Whether the holder is a run, which does not share the folder with another run.</param>
    /// <exception cref="FolderInUseException">Another process, or another run of this process, has locked it. The message names the
    /// owner.</exception>
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

    /// <summary>Locks the file again if the folder was deleted and created again.</summary>
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
            using var second = Open(_path); // a working lock refuses this one
            _isLockable = false;
            _file!.Dispose();
            _file = null;
            Warnings.Once(
                $"{Path.GetDirectoryName(_path)} is on a file system without file locks: make sure that no other process writes there."
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
        catch (IOException) // a full disk: the lock still works, without the owner's name
        {
            return "";
        }
    }

    /// <summary>The owner named in the file. It is read without a lock, because .NET's own readers request one.</summary>
    private static string Owner(string path)
    {
        if (OperatingSystem.IsWindows())
            return ""; // a locked file cannot be read there
        using var handle = new SafeFileHandle(Open(path, OperatingSystem.IsLinux() ? CloseOnExec : 0), ownsHandle: true);
        if (handle.IsInvalid)
            return "";
        using var reader = new StreamReader(new FileStream(handle, FileAccess.Read, bufferSize: 0));
        char[] text = new char[MaxOwnerLength];
        return new string(text, 0, reader.ReadBlock(text)).ReplaceLineEndings(" ").Trim();
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    // EWOULDBLOCK on Linux and macOS; a sharing violation on Windows.
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
            // The file stays, unlocked.
        }
        _file.Dispose();
    }

    /// <summary>One holder of the folder's lock.</summary>
    internal sealed class Holder(FolderLock of, bool run) : IDisposable
    {
        private bool _isDisposed;

        /// <summary>Checks that this process still owns the folder, which may have been deleted and created again.</summary>
        /// <exception cref="FolderInUseException">Another process has locked it now.</exception>
        public void Renew() => of.Renew();

        /// <summary>Releases the folder if the holder was not disposed.</summary>
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

/// <summary>Another process writes to the folder.</summary>
/// <param name="path">The lock file.</param>
/// <param name="owner">The owner; empty if unknown.</param>
internal sealed class FolderInUseException(string path, string owner)
    : IOException(
        $"The folder '{Path.GetDirectoryName(path)}' is in use by {(owner.Length > 0 ? owner : "another process")}: "
            + "wait until it ends, or choose another folder."
    );
