/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * os_limits.c - how many pages there are, and who says that there may be no more.
 *
 * All of it is read from files, and all of it may be past when it has been read: it is
 * there to refuse what cannot work before anything is harmed, and to say afterwards why
 * something did not. Files that are not there count as no limit.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"
#include "os_errno.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PATH_BYTES EVRI_OS_CGROUP_PATH_BYTES
/* Beyond it a cgroup's limit means "none": v1 writes the largest multiple of a page. */
#define UNLIMITED (UINT64_C(1) << 62)

/* A number at the beginning of a small file. */
static bool read_number(const char *path, uint64_t *ret)
{
	char text[32];
	char *end;
	ssize_t length;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0)
		return false;
	text[length] = '\0';
	*ret = strtoull(text, &end, 10);
	return end != text;
}

static uint64_t huge_page_count(const char *directory, uint64_t page_bytes,
				const char *what)
{
	char path[PATH_BYTES];
	uint64_t count = 0;

	snprintf(path, sizeof(path), "%.100s/hugepages/hugepages-%" PRIu64 "kB/%.32s",
		 directory, page_bytes / 1024, what);
	return read_number(path, &count) ? count : 0;
}

/* Pages that another mapping has reserved are still counted as free by the kernel, but
 * nobody else can have them. */
uint64_t evri_os_huge_pages_free(uint64_t page_bytes)
{
	EVRI_OS_KEEP_ERRNO;
	uint64_t free = huge_page_count("/sys/kernel/mm", page_bytes, "free_hugepages");
	uint64_t reserved =
		huge_page_count("/sys/kernel/mm", page_bytes, "resv_hugepages");

	return free > reserved ? free - reserved : 0;
}

/* Not of giant ones, which the kernel never makes. */
uint64_t evri_os_huge_pages_more(uint64_t page_bytes)
{
	EVRI_OS_KEEP_ERRNO;
	uint64_t most =
		huge_page_count("/sys/kernel/mm", page_bytes, "nr_overcommit_hugepages");
	uint64_t made =
		huge_page_count("/sys/kernel/mm", page_bytes, "surplus_hugepages");

	return most > made ? most - made : 0;
}

/* The sum of those lines of a meminfo file that are named. */
static uint64_t sum_of_lines(FILE *file, const char *const *names)
{
	uint64_t sum = 0;
	char line[128];

	while (fgets(line, sizeof(line), file)) {
		for (size_t i = 0; names[i]; i++) {
			const char *at = strstr(line, names[i]);
			uint64_t kib;

			if (at && sscanf(at + strlen(names[i]), " %" SCNu64, &kib) == 1)
				sum += kib * 1024;
		}
	}
	return sum;
}

/* The largest of "protection: (0, 431, 431)": pages that lower zones keep for those who
 * can use no others. */
static uint64_t largest_of(const char *list)
{
	uint64_t largest = 0;

	while ((list = strpbrk(list, "0123456789"))) {
		char *end;
		uint64_t number = strtoull(list, &end, 10);

		largest = number > largest ? number : largest;
		list = end;
	}
	return largest;
}

/* What the kernel keeps of a node for itself: whoever is bound to the node and wants some
 * of that is killed. As MemAvailable has it, for one node. */
static uint64_t node_kept_bytes(int node)
{
	FILE *file = fopen("/proc/zoneinfo", "re");
	bool inside = false;
	uint64_t pages = 0;
	uint64_t number;
	char line[256];
	int its_node;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %d, zone", &its_node) == 1)
			inside = its_node == node;
		else if (inside && sscanf(line, " high %" SCNu64, &number) == 1)
			pages += number;
		else if (inside && strstr(line, " protection: ("))
			pages += largest_of(line);
	}
	if (file)
		fclose(file);
	return pages * 4096;
}

uint64_t evri_os_node_free_bytes(int node, uint64_t page_bytes)
{
	EVRI_OS_KEEP_ERRNO;
	/* What the kernel takes back from files and caches before it gives up. */
	static const char *const names[] = { " MemFree:", " Active(file):",
					     " Inactive(file):", " SReclaimable:", NULL };
	uint64_t kept;
	char path[96];
	uint64_t bytes;
	FILE *file;

	if (page_bytes > 4096) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", node);
		return huge_page_count(path, page_bytes, "free_hugepages") * page_bytes;
	}
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	file = fopen(path, "re");
	if (!file)
		return 0;
	bytes = sum_of_lines(file, names);
	fclose(file);
	kept = node_kept_bytes(node);
	return bytes > kept ? bytes - kept : 0;
}

uint64_t evri_os_memory_available(bool with_swap)
{
	EVRI_OS_KEEP_ERRNO;
	static const char *const resident[] = { "MemAvailable:", NULL };
	static const char *const all[] = { "MemAvailable:", "SwapFree:", NULL };
	FILE *file = fopen("/proc/meminfo", "re");
	uint64_t bytes;

	if (!file)
		return UINT64_MAX;
	bytes = sum_of_lines(file, with_swap ? all : resident);
	fclose(file);
	return bytes ? bytes : UINT64_MAX;
}

uint64_t evri_os_lock_limit(void)
{
	EVRI_OS_KEEP_ERRNO;
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur;
}

/* ---- cgroups ---- */

/* The names of a limit and of what counts against it. The kernel keeps two accounts of
 * huge pages, for pages in use and for those reserved; either may say no. */
struct account {
	const char *controller; /* of version 1; NULL: version 2 */
	const char *limit;
	const char *usage;
};

static const struct account memory_accounts[] = {
	{ NULL, "memory.max", "memory.current" },
	{ "memory", "memory.limit_in_bytes", "memory.usage_in_bytes" },
};

/* %s: the page size, as in hugetlb.2MB.max */
static const struct account huge_accounts[] = {
	{ NULL, "hugetlb.%s.max", "hugetlb.%s.current" },
	{ NULL, "hugetlb.%s.rsvd.max", "hugetlb.%s.rsvd.current" },
	{ "hugetlb", "hugetlb.%s.limit_in_bytes", "hugetlb.%s.usage_in_bytes" },
	{ "hugetlb", "hugetlb.%s.rsvd.limit_in_bytes", "hugetlb.%s.rsvd.usage_in_bytes" },
};

static void join(char *path, const char *directory, const char *name, const char *size)
{
	size_t used = (size_t)snprintf(path, PATH_BYTES, "%s/", directory);
	const char *mark = strstr(name, "%s");

	if (used >= PATH_BYTES)
		return;
	if (mark)
		snprintf(path + used, PATH_BYTES - used, "%.*s%s%s", (int)(mark - name),
			 name, size, mark + 2);
	else
		snprintf(path + used, PATH_BYTES - used, "%s", name);
}

/* What the kernel would take back from files before it refuses: counted as used. */
static uint64_t reclaimable_bytes(const char *directory)
{
	char path[PATH_BYTES];
	char line[128];
	uint64_t sum = 0;
	bool of_all = false;
	FILE *file;

	join(path, directory, "memory.stat", "");
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		uint64_t bytes;

		/* The first version has lines for the cgroup alone, and "total_" ones
		 * with all below it, which is what its limit counts. */
		if (sscanf(line, "total_active_file %" SCNu64, &bytes) == 1 ||
		    sscanf(line, "total_inactive_file %" SCNu64, &bytes) == 1) {
			sum = of_all ? sum + bytes : bytes;
			of_all = true;
		} else if (!of_all &&
			   (sscanf(line, "active_file %" SCNu64, &bytes) == 1 ||
			    sscanf(line, "inactive_file %" SCNu64, &bytes) == 1)) {
			sum += bytes;
		}
	}
	fclose(file);
	return sum;
}

/* Does this account of this cgroup leave less than @bytes? */
static bool bites(const char *directory, const struct account *account, const char *size,
		  uint64_t bytes, struct evri_os_cgroup_limit *ret)
{
	char path[PATH_BYTES];
	uint64_t limit;
	uint64_t usage = 0;

	join(path, directory, account->limit, size);
	if (!read_number(path, &limit) || limit >= UNLIMITED)
		return false;
	snprintf(ret->path, sizeof(ret->path), "%s", path);
	join(path, directory, account->usage, size);
	read_number(path, &usage);
	if (strncmp(account->usage, "memory.", 7) == 0) {
		uint64_t reclaimable = reclaimable_bytes(directory);

		usage = usage > reclaimable ? usage - reclaimable : 0;
	}
	if (usage < limit && bytes <= limit - usage)
		return false;
	ret->limit_bytes = limit;
	ret->usage_bytes = usage;
	return true;
}

/* @directory and those above it, up to the mount point, @root_bytes long. */
static bool bites_upwards(char *directory, size_t root_bytes,
			  const struct account *account, const char *size, uint64_t bytes,
			  struct evri_os_cgroup_limit *ret)
{
	for (;;) {
		char *slash;

		if (bites(directory, account, size, bytes, ret))
			return true;
		slash = strrchr(directory, '/');
		if (!slash || (size_t)(slash - directory) < root_bytes)
			return false;
		*slash = '\0';
	}
}

/* One line of /proc/self/cgroup, "ID:CONTROLLERS:/PATH", against one account. */
static bool line_bites(const char *line, const struct account *account, const char *size,
		       uint64_t bytes, struct evri_os_cgroup_limit *ret)
{
	static const char root[] = "/sys/fs/cgroup";
	const char *controllers = strchr(line, ':');
	const char *cgroup = controllers ? strchr(controllers + 1, ':') : NULL;
	char directory[PATH_BYTES];
	size_t root_bytes;
	size_t length;
	int used;

	if (!cgroup)
		return false;
	controllers++;
	length = (size_t)(cgroup - controllers);
	cgroup++;
	if (!account->controller) {
		/* The second version alone, or beside the first. */
		if (length != 0)
			return false;
		used = snprintf(directory, sizeof(directory), "%s%s", root,
				access("/sys/fs/cgroup/unified", F_OK) == 0 ? "/unified" :
									      "");
	} else {
		if (length != strlen(account->controller) ||
		    strncmp(controllers, account->controller, length) != 0)
			return false;
		used = snprintf(directory, sizeof(directory), "%s/%s", root,
				account->controller);
	}
	root_bytes = (size_t)used;
	snprintf(directory + used, sizeof(directory) - root_bytes, "%s", cgroup);
	directory[strcspn(directory, "\n")] = '\0';
	if (directory[strlen(directory) - 1] == '/')
		directory[strlen(directory) - 1] = '\0';
	return bites_upwards(directory, root_bytes, account, size, bytes, ret);
}

bool evri_os_cgroup_refuses(uint64_t page_bytes, uint64_t bytes,
			    struct evri_os_cgroup_limit *ret)
{
	EVRI_OS_KEEP_ERRNO;
	bool huge = page_bytes > 4096;
	const struct account *accounts = huge ? huge_accounts : memory_accounts;
	size_t count = huge ? sizeof(huge_accounts) / sizeof(huge_accounts[0]) :
			      sizeof(memory_accounts) / sizeof(memory_accounts[0]);
	const char *size = page_bytes >= UINT64_C(1) << 30 ? "1GB" : "2MB";
	FILE *file = fopen("/proc/self/cgroup", "re");
	char line[PATH_BYTES];
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		for (size_t i = 0; i < count && !found; i++)
			found = line_bites(line, &accounts[i], size, bytes, ret);
	fclose(file);
	return found;
}
