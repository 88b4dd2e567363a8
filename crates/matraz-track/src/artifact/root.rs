//! A folder of artifacts on this machine: list, read, write, remove, and never leave it.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tempfile::NamedTempFile;

use super::{ArtifactError, ArtifactPath, UPLOADING_PREFIX};

/// How many bytes of an upload wait before they are written.
const PORTION: usize = 512 * 1024;

/// A folder that holds artifacts. It need not exist before the first upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRoot {
    folder: PathBuf,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path below the artifact root.
    pub path: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Bytes, for files.
    pub size: Option<u64>,
}

/// An open artifact.
#[derive(Debug)]
pub struct ArtifactFile {
    /// The file name.
    pub name: String,
    /// The open file, at its start.
    pub file: File,
    /// Size and times at the moment of opening.
    pub metadata: Metadata,
}

impl ArtifactRoot {
    /// The artifacts below `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The local path of an artifact, after a look at every symbolic link on the way to it. It need not exist.
    pub fn locate(&self, path: &ArtifactPath) -> Result<PathBuf, ArtifactError> {
        let full = path.below(&self.folder);
        let outside = || ArtifactError::OutsideRoot { path: path.to_string() };
        let root = match self.folder.canonicalize() {
            Ok(root) => root,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(full),
            Err(error) => return Err(ArtifactError::io("open", &self.folder, error)),
        };
        for ancestor in full.ancestors() {
            if ancestor == self.folder {
                break;
            }
            match ancestor.symlink_metadata() {
                // What exists must lie inside; a link that leads nowhere cannot be judged and is refused.
                Ok(_) => {
                    let real = ancestor.canonicalize().map_err(|_| outside())?;
                    if !real.starts_with(&root) {
                        return Err(outside());
                    }
                    break;
                }
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(ArtifactError::io("look at", ancestor, error)),
            }
        }
        Ok(full)
    }

    /// The folder at `path`, sorted by name. A missing folder and a file both list as nothing: clients rely on it to tell
    /// a file from a folder.
    pub fn list(&self, path: &ArtifactPath) -> Result<Vec<Entry>, ArtifactError> {
        let folder = self.locate(path)?;
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(ArtifactError::io("list", folder, error)),
        };
        let root =
            self.folder.canonicalize().map_err(|error| ArtifactError::io("open", &self.folder, error))?;
        let above = if path.is_root() { String::new() } else { format!("{path}/") };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| ArtifactError::io("list", &folder, error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(UPLOADING_PREFIX) {
                continue;
            }
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if is_link && !entry.path().canonicalize().is_ok_and(|real| real.starts_with(&root)) {
                continue;
            }
            // One look for the size, from the open folder where that is possible: it is most of the work of a long listing. A
            // file may vanish before it.
            let metadata = if is_link { fs::metadata(entry.path()) } else { entry.metadata() };
            let Ok(metadata) = metadata else { continue };
            found.push(Entry {
                path: format!("{above}{name}"),
                is_folder: metadata.is_dir(),
                size: metadata.is_file().then_some(metadata.len()),
            });
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Every file below `path`, depth first, sorted.
    pub fn files(&self, path: &ArtifactPath) -> Result<Vec<Entry>, ArtifactError> {
        let mut files = Vec::new();
        let mut folders = vec![path.clone()];
        while let Some(folder) = folders.pop() {
            for entry in self.list(&folder)? {
                if entry.is_folder {
                    folders.push(ArtifactPath::parse(&entry.path)?);
                } else {
                    files.push(entry);
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Opens a file for reading.
    pub fn open(&self, path: &ArtifactPath) -> Result<ArtifactFile, ArtifactError> {
        let full = self.locate(path)?;
        let missing = || ArtifactError::Missing { path: path.to_string() };
        let metadata = match fs::metadata(&full) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) => return Err(missing()),
            Err(error) => return Err(ArtifactError::io("read", full, error)),
        };
        if metadata.is_dir() {
            return Err(ArtifactError::IsFolder { path: path.to_string() });
        }
        if !metadata.is_file() {
            // A pipe or a device would block or never end.
            return Err(missing());
        }
        let file = File::open(&full).map_err(|error| ArtifactError::io("read", &full, error))?;
        let name = path.name().unwrap_or_default().to_owned();
        Ok(ArtifactFile { name, file, metadata })
    }

    /// Writes what `stream` brings to `path`: to a hidden file beside it first, synced, then renamed, so that readers see
    /// the old artifact or the new one. Returns the number of bytes.
    pub async fn upload<E>(
        &self,
        path: &ArtifactPath,
        stream: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<u64, ArtifactError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut stream = std::pin::pin!(stream);
        let (root, target) = (self.clone(), path.clone());
        let mut upload = on_disk(move || root.begin(&target)).await?;
        let mut size = 0;
        // Pieces of a network are small; the disk gets them in larger portions.
        let mut waiting: Vec<Bytes> = Vec::new();
        let mut waiting_size = 0;
        while let Some(piece) = stream.next().await {
            let piece: Bytes = piece.map_err(|source| ArtifactError::BrokenUpload {
                path: path.to_string(),
                source: source.into(),
            })?;
            size += piece.len() as u64;
            waiting_size += piece.len();
            waiting.push(piece);
            if waiting_size >= PORTION {
                let portion = std::mem::take(&mut waiting);
                waiting_size = 0;
                upload = on_disk(move || upload.write(&portion)).await?;
            }
        }
        on_disk(move || upload.write(&waiting)?.finish()).await?;
        Ok(size)
    }

    /// Copies a local file to `path`, through the same hidden file and rename.
    pub fn store(&self, path: &ArtifactPath, local: &Path) -> Result<u64, ArtifactError> {
        let mut source = File::open(local).map_err(|error| ArtifactError::io("read", local, error))?;
        let mut upload = self.begin(path)?;
        let size = io::copy(&mut source, upload.temp.as_file_mut())
            .map_err(|error| ArtifactError::io("copy", local, error))?;
        upload.finish()?;
        Ok(size)
    }

    fn begin(&self, path: &ArtifactPath) -> Result<Upload, ArtifactError> {
        let name = path.name().ok_or(ArtifactError::NoFileName)?;
        if name.starts_with(UPLOADING_PREFIX) {
            return Err(ArtifactError::ReservedName { name: name.to_owned() });
        }
        let target = self.locate(path)?;
        if target.is_dir() {
            return Err(ArtifactError::IsFolder { path: path.to_string() });
        }
        let folder = self.locate(&path.parent())?;
        fs::create_dir_all(&folder).map_err(|error| match error.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                ArtifactError::FileInTheWay { path: path.to_string() }
            }
            _ => ArtifactError::io("make", &folder, error),
        })?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(UPLOADING_PREFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The umask takes its part, as it does for any file that a program makes.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let temp =
            builder.tempfile_in(&folder).map_err(|error| ArtifactError::io("write to", &folder, error))?;
        Ok(Upload { temp, target })
    }

    /// Removes a file or a whole folder; nothing there is fine. Links are removed, not followed. The root stays.
    pub fn delete(&self, path: &ArtifactPath) -> Result<(), ArtifactError> {
        if path.is_root() {
            return Err(ArtifactError::NoFileName);
        }
        let full = path.below(&self.folder);
        self.locate(&path.parent())?;
        let kind = match full.symlink_metadata() {
            Ok(metadata) => metadata.file_type(),
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(ArtifactError::io("remove", full, error)),
        };
        let removed = if kind.is_dir() { fs::remove_dir_all(&full) } else { fs::remove_file(&full) };
        match removed {
            Err(error) if !is_absent(&error) => Err(ArtifactError::io("remove", full, error)),
            _ => Ok(()),
        }
    }
}

/// A file that is being written; dropped unfinished, it leaves nothing behind.
struct Upload {
    temp: NamedTempFile,
    target: PathBuf,
}

impl Upload {
    fn write(mut self, pieces: &[Bytes]) -> Result<Self, ArtifactError> {
        for piece in pieces {
            let written = self.temp.as_file_mut().write_all(piece);
            written.map_err(|error| ArtifactError::io("write", &self.target, error))?;
        }
        Ok(self)
    }

    fn finish(self) -> Result<(), ArtifactError> {
        let failed = |error| ArtifactError::io("write", &self.target, error);
        self.temp.as_file().sync_data().map_err(failed)?;
        self.temp.persist(&self.target).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// Runs blocking disk work off the async threads.
pub(crate) async fn on_disk<T, F>(work: F) -> Result<T, ArtifactError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, ArtifactError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ArtifactError::io("finish work on", PathBuf::new(), io::Error::other(error))),
    }
}

/// Nothing there, or a file where the path goes on.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    fn path(text: &str) -> ArtifactPath {
        ArtifactPath::parse(text).unwrap()
    }

    fn pieces(parts: &[&'static str]) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
        stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect::<Vec<_>>())
    }

    #[tokio::test]
    async fn upload_list_read_delete() {
        let top = tempfile::tempdir().unwrap();
        let root = ArtifactRoot::new(top.path().join("new"));
        assert_eq!(root.list(&ArtifactPath::root()).unwrap(), []);
        assert_eq!(root.upload(&path("d/sub/a.txt"), pieces(&["one", "", "two"])).await.unwrap(), 6);
        root.upload(&path("z.txt"), pieces(&[])).await.unwrap();
        root.upload(&path("d/sub/a.txt"), pieces(&["x"])).await.unwrap();
        fs::write(root.folder().join(format!("d/{UPLOADING_PREFIX}abc")), "half").unwrap();

        let file = |path: &str, size| Entry { path: path.to_owned(), is_folder: false, size: Some(size) };
        let folder = |path: &str| Entry { path: path.to_owned(), is_folder: true, size: None };
        assert_eq!(root.list(&ArtifactPath::root()).unwrap(), [folder("d"), file("z.txt", 0)]);
        assert_eq!(root.list(&path("d")).unwrap(), [folder("d/sub")]);
        assert_eq!(root.list(&path("z.txt")).unwrap(), []);
        assert_eq!(root.list(&path("none/at/all")).unwrap(), []);
        assert_eq!(root.files(&ArtifactPath::root()).unwrap(), [file("d/sub/a.txt", 1), file("z.txt", 0)]);

        assert_eq!(root.open(&path("d/sub/a.txt")).unwrap().metadata.len(), 1);
        assert!(matches!(root.open(&path("d")), Err(ArtifactError::IsFolder { .. })));
        assert!(matches!(root.open(&path("z.txt/deeper")), Err(ArtifactError::Missing { .. })));

        root.delete(&path("d")).unwrap();
        root.delete(&path("d")).unwrap();
        assert!(root.delete(&ArtifactPath::root()).is_err());
        assert_eq!(root.list(&ArtifactPath::root()).unwrap(), [file("z.txt", 0)]);
    }

    #[tokio::test]
    async fn a_broken_upload_keeps_the_old_artifact_and_leaves_no_litter() {
        let top = tempfile::tempdir().unwrap();
        let root = ArtifactRoot::new(top.path());
        root.upload(&path("a"), pieces(&["old"])).await.unwrap();
        let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err("connection lost")]);
        assert!(matches!(root.upload(&path("a"), broken).await, Err(ArtifactError::BrokenUpload { .. })));
        assert_eq!(fs::read(top.path().join("a")).unwrap(), b"old");
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn uploads_that_cannot_be() {
        let top = tempfile::tempdir().unwrap();
        let root = ArtifactRoot::new(top.path());
        root.upload(&path("file"), pieces(&["x"])).await.unwrap();
        fs::create_dir(top.path().join("folder")).unwrap();
        let upload = async |to: &str| root.upload(&path(to), pieces(&["x"])).await.unwrap_err();
        assert!(matches!(upload("file/below").await, ArtifactError::FileInTheWay { .. }));
        assert!(matches!(upload("folder").await, ArtifactError::IsFolder { .. }));
        assert!(matches!(upload("").await, ArtifactError::NoFileName));
        assert!(matches!(upload(".artifact.uploading.x").await, ArtifactError::ReservedName { .. }));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links_that_leave_the_root_are_not_followed() {
        use std::os::unix::fs::symlink;
        let top = tempfile::tempdir().unwrap();
        let (inside, outside) = (top.path().join("root"), top.path().join("outside"));
        fs::create_dir_all(inside.join("real")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "s").unwrap();
        fs::write(inside.join("real/ok"), "k").unwrap();
        symlink(&outside, inside.join("away")).unwrap();
        symlink(outside.join("secret"), inside.join("leak")).unwrap();
        symlink(outside.join("not-there"), inside.join("dangling")).unwrap();
        symlink("real", inside.join("alias")).unwrap();
        let root = ArtifactRoot::new(&inside);

        for hostile in ["away", "away/secret", "leak", "dangling", "away/new/deep"] {
            let hostile = path(hostile);
            assert!(matches!(root.open(&hostile), Err(ArtifactError::OutsideRoot { .. })), "open {hostile}");
            assert!(matches!(root.list(&hostile), Err(ArtifactError::OutsideRoot { .. })), "list {hostile}");
            assert!(
                matches!(root.upload(&hostile, pieces(&["x"])).await, Err(ArtifactError::OutsideRoot { .. })),
                "put {hostile}"
            );
        }
        assert!(root.delete(&path("away/secret")).is_err());
        assert_eq!(fs::read(outside.join("secret")).unwrap(), b"s");
        assert!(!outside.join("not-there").exists());
        assert_eq!(root.open(&path("alias/ok")).unwrap().metadata.len(), 1);
        let listed: Vec<String> =
            root.list(&ArtifactPath::root()).unwrap().into_iter().map(|entry| entry.path).collect();
        assert_eq!(listed, ["alias", "real"]);
        root.delete(&path("away")).unwrap();
        assert!(outside.join("secret").exists() && !inside.join("away").exists());
    }
}
