/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* os_place.c - names in one directory: what lies behind them, and changing them. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"
#include "os_errno.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int evri_os_place_open(const char *path, int *ret_fd)
{
	EVRI_OS_KEEP_ERRNO;
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int evri_os_place_identify(int directory_fd, const char *name,
			   struct evri_os_file_id *ret)
{
	EVRI_OS_KEEP_ERRNO;
	struct stat status;

	if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
		return -errno;
	/* A socket is never written, so its time of change is its time of making; that of
	 * its inode moves with every link and rename. */
	*ret = (struct evri_os_file_id){
		.device = status.st_dev,
		.inode = status.st_ino,
		.made_ns = (uint64_t)status.st_mtim.tv_sec * 1000000000U +
			   (uint64_t)status.st_mtim.tv_nsec,
		.uid = status.st_uid,
		.mode = status.st_mode & 07777,
		.is_link = S_ISLNK(status.st_mode),
		.is_socket = S_ISSOCK(status.st_mode),
		.is_directory = S_ISDIR(status.st_mode),
	};
	return 0;
}

int evri_os_place_identify_at(const char *path, struct evri_os_file_id *ret)
{
	return evri_os_place_identify(AT_FDCWD, path, ret);
}

int evri_os_place_set_rights(int directory_fd, const char *name, uint32_t mode,
			     uint32_t gid)
{
	EVRI_OS_KEEP_ERRNO;
	struct stat status;

	if (gid != UINT32_MAX &&
	    fchownat(directory_fd, name, (uid_t)-1, (gid_t)gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISSOCK(status.st_mode))
		return -ENOENT;
	if ((status.st_mode & 07777) == mode)
		return 0;
	return fchmodat(directory_fd, name, mode, 0) < 0 ? -errno : 0;
}

int evri_os_place_link(int directory_fd, const char *from, const char *to)
{
	EVRI_OS_KEEP_ERRNO;

	return linkat(directory_fd, from, directory_fd, to, 0) < 0 ? -errno : 0;
}

int evri_os_place_rename(int directory_fd, const char *from, const char *to)
{
	EVRI_OS_KEEP_ERRNO;

	if (renameat2(directory_fd, from, directory_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system without that: the name is ours from the link on. */
	if (linkat(directory_fd, from, directory_fd, to, 0) < 0)
		return -errno;
	unlinkat(directory_fd, from, 0);
	return 0;
}

int evri_os_place_rename_over(int directory_fd, const char *from, const char *to)
{
	EVRI_OS_KEEP_ERRNO;

	return renameat(directory_fd, from, directory_fd, to) < 0 ? -errno : 0;
}

int evri_os_place_unlink(int directory_fd, const char *name)
{
	EVRI_OS_KEEP_ERRNO;

	return unlinkat(directory_fd, name, 0) < 0 ? -errno : 0;
}

int evri_os_place_list(int directory_fd, const char *prefix,
		       void (*take)(void *context, const char *name), void *context)
{
	EVRI_OS_KEEP_ERRNO;
	struct dirent *entry;
	DIR *directory;
	int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	directory = fdopendir(fd);
	if (!directory) {
		int error = -errno;

		close(fd);
		return error;
	}
	while ((entry = readdir(directory)) != NULL)
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			take(context, entry->d_name);
	closedir(directory);
	return 0;
}

int evri_os_directory_make(const char *path)
{
	EVRI_OS_KEEP_ERRNO;

	return mkdir(path, 0700) < 0 ? -errno : 0;
}

/* ---- locks ---- */

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

int evri_os_place_open_for_locks(const char *path, int *ret_fd)
{
	EVRI_OS_KEEP_ERRNO;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static struct flock lock_of(short type, uint64_t byte)
{
	return (struct flock){
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)byte,
		.l_len = 1,
	};
}

int evri_os_place_lock(int directory_fd, uint64_t byte)
{
	EVRI_OS_KEEP_ERRNO;
	struct flock lock = lock_of(F_RDLCK, byte);

	return fcntl(directory_fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

void evri_os_place_unlock(int directory_fd, uint64_t byte)
{
	EVRI_OS_KEEP_ERRNO;
	struct flock lock = lock_of(F_UNLCK, byte);

	(void)!fcntl(directory_fd, F_OFD_SETLK, &lock);
}

int evri_os_place_locked(int directory_fd, uint64_t byte)
{
	EVRI_OS_KEEP_ERRNO;
	/* A directory cannot be locked for writing; whether it could is told all the
	 * same. */
	struct flock lock = lock_of(F_WRLCK, byte);

	if (fcntl(directory_fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	return lock.l_type != F_UNLCK;
}
