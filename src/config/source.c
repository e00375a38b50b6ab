/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a configuration file, finding a line and a column in it.
 */
#include "config/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/memory.h"

static int read_whole(int fd, size_t limit, char **ret_text, size_t *ret_len)
{
	size_t room = 4096, len = 0;
	char *text = memory_zero(room + 1);
	for (;;) {
		ssize_t n = read(fd, text + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || len + (size_t)n > limit) {
			int r = n < 0 ? -errno : -EFBIG;
			free(text);
			return r;
		}
		if (n == 0)
			break;
		len += (size_t)n;
		if (len < room)
			continue;
		char *larger = memory_zero(room * 2 + 1);
		memcpy(larger, text, len);
		free(text);
		text = larger;
		room *= 2;
	}
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	return 0;
}

int source_read_file(const char *path, size_t limit, char **ret_text, size_t *ret_len)
{
	/* O_NONBLOCK: a FIFO must not hang the start; it is refused below. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	struct stat st;
	int r = fstat(fd, &st) < 0 ? -errno : 0;
	if (r == 0 && S_ISDIR(st.st_mode))
		r = -EISDIR;
	else if (r == 0 && !S_ISREG(st.st_mode))
		r = -EINVAL;
	if (r == 0)
		r = read_whole(fd, limit, ret_text, ret_len);
	close(fd);
	return r;
}

/* libyaml's line breaks: CR, LF, CR LF, and the Unicode ones NEL, LS, PS. The length of the one at p, 0 if none. */
static size_t break_length(const char *p, const char *end)
{
	if (*p == '\r')
		return end - p > 1 && p[1] == '\n' ? 2 : 1;
	if (*p == '\n')
		return 1;
	if (end - p > 1 && memcmp(p, "\xc2\x85", 2) == 0)
		return 2;
	if (end - p > 2 && (memcmp(p, "\xe2\x80\xa8", 3) == 0 || memcmp(p, "\xe2\x80\xa9", 3) == 0))
		return 3;
	return 0;
}

static void cut_lines(struct source *source)
{
	const char *end = source->text + source->len;
	source->lines = memory_grow(NULL, 0, sizeof *source->lines);
	source->lines[0] = 0;
	source->n_lines = 1;
	for (const char *p = source->text; p < end;) {
		size_t len = break_length(p, end);
		p += len ? len : 1;
		if (!len || p == end)
			continue;
		source->lines = memory_grow(source->lines, source->n_lines, sizeof *source->lines);
		source->lines[source->n_lines++] = (size_t)(p - source->text);
	}
}

struct source *source_from_text(const char *path, const char *text, size_t len)
{
	struct source *source = memory_zero(sizeof *source);
	source->path = memory_text(path);
	source->real_path = memory_text(path);
	char *folder = getcwd(NULL, 0);
	source->folder = folder ? folder : memory_text("/");
	/* The mark that some editors of Windows put before UTF-8. libyaml, told that the text is UTF-8, takes it for a letter. */
	static const char mark[] = "\xEF\xBB\xBF";
	if (len >= sizeof mark - 1 && memcmp(text, mark, sizeof mark - 1) == 0) {
		text += sizeof mark - 1;
		len -= sizeof mark - 1;
	}
	source->text = memory_bytes(text, len);
	source->len = len;
	cut_lines(source);
	return source;
}

int source_open(const char *path, struct source **ret_source)
{
	char *text, *real_path = realpath(path, NULL);
	size_t len;
	if (!real_path)
		return -errno;
	int r = source_read_file(path, SOURCE_MAX_BYTES, &text, &len);
	if (r < 0) {
		free(real_path);
		return r;
	}
	struct source *source = source_from_text(path, text, len);
	free(text);
	free(source->real_path);
	source->real_path = real_path;
	/* Relative names in the file are seen from where the file lies, not from where a symbolic link to it points:
	 * the folder of the path that the user wrote. */
	const char *slash = strrchr(path, '/');
	char *written = slash ? memory_bytes(path, slash == path ? 1 : (size_t)(slash - path)) : memory_text(".");
	char *folder = realpath(written, NULL);
	if (folder) {
		free(source->folder);
		source->folder = folder;
	}
	free(written);
	*ret_source = source;
	return 0;
}

void source_forget(struct source *source)
{
	free(source->text);
	free(source->lines);
	free(source->secrets);
	source->text = NULL;
	source->lines = NULL;
	source->secrets = NULL;
	source->len = source->n_lines = source->n_secrets = 0;
}

void source_free(struct source *source)
{
	if (!source)
		return;
	free(source->path);
	free(source->folder);
	free(source->real_path);
	source_forget(source);
	free(source);
}

const char *source_line(const struct source *source, int line, size_t *ret_len)
{
	*ret_len = 0;
	if (line < 1 || (size_t)line > source->n_lines)
		return NULL;
	const char *begin = source->text + source->lines[line - 1], *p = begin;
	const char *end = source->text + source->len;
	while (p < end && break_length(p, end) == 0)
		p++;
	*ret_len = (size_t)(p - begin);
	return begin;
}

static bool starts_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

size_t source_offset(const struct source *source, int line, int column)
{
	size_t len, at = 0;
	const char *text = source_line(source, line, &len);
	if (!text)
		return source->len;
	for (int left = column; at < len; at++)
		if (starts_character(text[at]) && --left <= 0)
			break;
	return (size_t)(text - source->text) + at;
}

void source_position(const struct source *source, size_t offset, int *ret_line, int *ret_column)
{
	size_t low = 0, high = source->n_lines; /* the line is in [low, high) */
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (source->lines[middle] <= offset)
			low = middle;
		else
			high = middle;
	}
	int column = 1;
	for (size_t at = source->lines[low]; at < offset && at < source->len; at++)
		column += starts_character(source->text[at + 1]);
	*ret_line = (int)low + 1;
	*ret_column = column;
}

void source_hide(struct source *source, size_t begin, size_t end)
{
	source->secrets = memory_grow(source->secrets, source->n_secrets, sizeof *source->secrets);
	source->secrets[source->n_secrets++] = (struct source_stretch){begin, end};
}

char *source_join(const char *folder, const char *path)
{
	if (*path == '/')
		return memory_text(path);
	return memory_format("%s%s%s", folder, folder[0] && folder[strlen(folder) - 1] == '/' ? "" : "/", path);
}
