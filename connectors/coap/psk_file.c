/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines become an array, and a sorted one that points into it. Nothing that holds a key is copied, reallocated or freed
 * without being wiped; qsort would keep copies.
 */
#include "connectors/coap/psk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/common/percent.h"

struct psk {
	uint8_t identity[PSK_MAX_IDENTITY_BYTES];
	uint8_t key[PSK_MAX_KEY_BYTES];
	uint8_t identity_len, key_len;
	unsigned line;
};

struct psk_file {
	struct psk *keys;
	const struct psk **sorted; /* by identity */
	size_t n, room;
	bool exposed;
};

/* --- words --------------------------------------------------------------------------------------------------------- */

static void skip(struct slice *text, size_t n)
{
	*text = slice_of(text->data + n, text->len - n);
}

static void skip_blanks(struct slice *text)
{
	while (text->len && (text->data[0] == ' ' || text->data[0] == '\t'))
		skip(text, 1);
}

/* Takes off a text between quotes, in which \" and \\ stand for " and \. -1: it is none, or longer than max. */
static int take_quoted(struct slice *rest, uint8_t *out, size_t max)
{
	size_t len = 0;
	for (skip(rest, 1); rest->len && rest->data[0] != '"'; skip(rest, 1)) {
		if (rest->data[0] == '\\') {
			skip(rest, 1);
			if (!rest->len || (rest->data[0] != '"' && rest->data[0] != '\\'))
				return -1;
		}
		if (len == max)
			return -1;
		out[len++] = rest->data[0];
	}
	if (!rest->len)
		return -1;
	skip(rest, 1);
	return (int)len;
}

static int take_hex(struct slice *rest, uint8_t *out, size_t max)
{
	size_t len = 0;
	while (rest->len && percent_digit(rest->data[0]) >= 0) {
		int low = rest->len > 1 ? percent_digit(rest->data[1]) : -1;
		if (low < 0 || len == max)
			return -1;
		out[len++] = (uint8_t)(percent_digit(rest->data[0]) << 4 | low);
		skip(rest, 2);
	}
	return (int)len;
}

static bool take_hex_mark(struct slice *rest)
{
	if (rest->len < 4 || memcmp(rest->data, "hex:", 4) != 0)
		return false;
	skip(rest, 4);
	return true;
}

static const char bad_hex[] = "after hex: stand 1 to 64 bytes, each as two hexadecimal digits.";

int psk_key_parse(struct slice text, uint8_t ret_key[PSK_MAX_KEY_BYTES], const char **ret_wrong)
{
	if (take_hex_mark(&text)) {
		int len = take_hex(&text, ret_key, PSK_MAX_KEY_BYTES);
		if (len > 0 && text.len == 0)
			return len;
		*ret_wrong = bad_hex;
		return -EINVAL;
	}
	if (text.len == 0 || text.len > PSK_MAX_KEY_BYTES) {
		*ret_wrong = "a key has 1 to 64 bytes: some text, or hex: and hexadecimal digits.";
		return -EINVAL;
	}
	memcpy(ret_key, text.data, text.len);
	return (int)text.len;
}

/* --- lines --------------------------------------------------------------------------------------------------------- */

static const char *parse_identity(struct slice *rest, struct psk *psk)
{
	int len;
	if (rest->data[0] == '"') {
		len = take_quoted(rest, psk->identity, PSK_MAX_IDENTITY_BYTES);
		skip_blanks(rest);
	} else {
		const uint8_t *colon = memchr(rest->data, ':', rest->len);
		size_t n = colon ? (size_t)(colon - rest->data) : rest->len;
		size_t end = n;
		while (end && (rest->data[end - 1] == ' ' || rest->data[end - 1] == '\t'))
			end--;
		len = end <= PSK_MAX_IDENTITY_BYTES ? (int)end : -1;
		if (len > 0)
			memcpy(psk->identity, rest->data, end);
		skip(rest, n);
	}
	if (len <= 0)
		return "an identity has 1 to 64 bytes. One that holds a colon or a quote stands between quotes.";
	psk->identity_len = (uint8_t)len;
	if (!rest->len || rest->data[0] != ':')
		return "there is no colon behind the identity. A line is `identity: \"key\"` or `identity: hex:00ff…`.";
	skip(rest, 1);
	return NULL;
}

static const char *parse_key(struct slice *rest, struct psk *psk)
{
	int len;
	skip_blanks(rest);
	if (rest->len && rest->data[0] == '"') {
		len = take_quoted(rest, psk->key, PSK_MAX_KEY_BYTES);
		if (len <= 0)
			return "a key between quotes has 1 to 64 bytes; before a quote or a backslash in it stands "
			       "another backslash.";
	} else if (take_hex_mark(rest)) {
		len = take_hex(rest, psk->key, PSK_MAX_KEY_BYTES);
		if (len <= 0)
			return bad_hex;
	} else {
		return "a key stands between quotes, or is hex: and hexadecimal digits.";
	}
	psk->key_len = (uint8_t)len;
	skip_blanks(rest);
	if (rest->len && rest->data[0] != '#')
		return "there is something behind the key. A comment begins with #.";
	return NULL;
}

static const char *parse_line(struct slice line, struct psk *psk)
{
	if (memchr(line.data, 0, line.len))
		return "there is a NUL. The file is text.";
	const char *wrong = parse_identity(&line, psk);
	return wrong ? wrong : parse_key(&line, psk);
}

/* --- the file ------------------------------------------------------------------------------------------------------ */

static void wipe_keys(struct psk *keys, size_t n)
{
	if (keys)
		explicit_bzero(keys, n * sizeof *keys);
	free(keys);
}

void psk_file_free(struct psk_file *file)
{
	if (!file)
		return;
	wipe_keys(file->keys, file->room);
	free(file->sorted);
	free(file);
}

static int add_key(struct psk_file *file, const struct psk *psk)
{
	if (file->n == file->room) {
		size_t room = file->room ? file->room * 2 : 16;
		struct psk *keys = calloc(room, sizeof *keys);
		if (!keys)
			return -ENOMEM;
		if (file->n)
			memcpy(keys, file->keys, file->n * sizeof *keys);
		wipe_keys(file->keys, file->room);
		file->keys = keys;
		file->room = room;
	}
	file->keys[file->n++] = *psk;
	return 0;
}

static int compare(struct slice a, struct slice b)
{
	int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static struct slice identity_of(const struct psk *psk)
{
	return slice_of(psk->identity, psk->identity_len);
}

static int compare_keys(const void *a, const void *b)
{
	const struct psk *one = *(const struct psk *const *)a, *other = *(const struct psk *const *)b;
	int order = compare(identity_of(one), identity_of(other));
	return order ? order : (one->line > other->line) - (one->line < other->line);
}

static const char no_memory[] = "there is no memory for its keys.";

static int complain(char error[PSK_ERROR_SIZE], const char *path, unsigned line, const char *what)
{
	snprintf(error, PSK_ERROR_SIZE, "%s:%u: %s", path, line, what);
	return -EINVAL;
}

static struct slice next_line(struct slice *text)
{
	const uint8_t *end = memchr(text->data, '\n', text->len);
	size_t len = end ? (size_t)(end - text->data) : text->len;
	struct slice line = slice_of(text->data, len);
	skip(text, end ? len + 1 : len);
	if (line.len && line.data[line.len - 1] == '\r')
		line.len--;
	skip_blanks(&line);
	return line;
}

static int parse_lines(const char *path, struct slice text, struct psk_file *file, char error[PSK_ERROR_SIZE])
{
	struct psk psk = {0};
	int r = 0;
	for (unsigned number = 1; r == 0 && text.len; number++) {
		struct slice line = next_line(&text);
		if (!line.len || line.data[0] == '#')
			continue;
		psk = (struct psk){.line = number};
		const char *wrong = parse_line(line, &psk);
		r = wrong ? complain(error, path, number, wrong) : add_key(file, &psk);
		if (r == -ENOMEM)
			(void)complain(error, path, number, no_memory);
	}
	explicit_bzero(&psk, sizeof psk);
	return r;
}

static int sort_keys(const char *path, struct psk_file *file, char error[PSK_ERROR_SIZE])
{
	char what[64];
	if (file->n == 0)
		return complain(error, path, 1, "there is no key in it. A line is `identity: \"key\"`.");
	file->sorted = calloc(file->n, sizeof(struct psk *));
	if (!file->sorted) {
		(void)complain(error, path, 1, no_memory);
		return -ENOMEM;
	}
	for (size_t i = 0; i < file->n; i++)
		file->sorted[i] = &file->keys[i];
	qsort(file->sorted, file->n, sizeof(struct psk *), compare_keys);
	for (size_t i = 1; i < file->n; i++) {
		const struct psk *one = file->sorted[i - 1], *other = file->sorted[i];
		if (!slice_equal(identity_of(one), identity_of(other)))
			continue;
		snprintf(what, sizeof what, "line %u has a key for the same identity. Remove one.", one->line);
		return complain(error, path, other->line, what);
	}
	return 0;
}

int psk_file_parse(const char *path, struct slice text, struct psk_file **ret_file, char error[PSK_ERROR_SIZE])
{
	struct psk_file *file = calloc(1, sizeof *file);
	if (!file) {
		(void)complain(error, path, 1, no_memory);
		return -ENOMEM;
	}
	int r = parse_lines(path, text, file, error);
	if (r == 0)
		r = sort_keys(path, file, error);
	if (r < 0) {
		psk_file_free(file);
		return r;
	}
	psk_file_free(*ret_file);
	*ret_file = file;
	return 0;
}

/* The bytes of a regular file, as many as it has now, to be wiped and freed; *ret_len of them. */
static int read_whole(int fd, struct stat *ret_info, uint8_t **ret_bytes, size_t *ret_len)
{
	if (fstat(fd, ret_info) < 0)
		return -errno;
	if (!S_ISREG(ret_info->st_mode))
		return -ENODEV;
	if ((uint64_t)ret_info->st_size > PSK_MAX_FILE_BYTES)
		return -EFBIG;
	size_t size = (size_t)ret_info->st_size, len = 0;
	uint8_t *bytes = malloc(size + 1);
	if (!bytes)
		return -ENOMEM;
	while (len < size) {
		ssize_t n = read(fd, bytes + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int r = -errno;
			explicit_bzero(bytes, len);
			free(bytes);
			return r;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_bytes = bytes;
	*ret_len = len;
	return 0;
}

static const char *error_text(int r)
{
	return r == -ENODEV ? "is not a regular file" : r == -EFBIG ? "holds more than 16 MiB" : strerror(-r);
}

int psk_file_read(const char *path, struct psk_file **ret_file, char error[PSK_ERROR_SIZE])
{
	struct stat info;
	uint8_t *bytes = NULL;
	size_t len = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = fd < 0 ? -errno : read_whole(fd, &info, &bytes, &len);
	if (fd >= 0)
		close(fd);
	if (r < 0) {
		snprintf(error, PSK_ERROR_SIZE,
			"%s: %s. It must be a readable file with a line `identity: \"key\"` for each.", path,
			error_text(r));
		return r;
	}
	r = psk_file_parse(path, slice_of(bytes, len), ret_file, error);
	if (r == 0)
		(*ret_file)->exposed = (info.st_mode & S_IROTH) != 0;
	explicit_bzero(bytes, len);
	free(bytes);
	return r;
}

struct slice psk_file_find(const struct psk_file *file, struct slice identity)
{
	size_t low = 0, high = file->n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct psk *psk = file->sorted[middle];
		int order = compare(identity, identity_of(psk));
		if (order == 0)
			return slice_of(psk->key, psk->key_len);
		if (order > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return (struct slice){NULL, 0};
}

bool psk_file_is_exposed(const struct psk_file *file)
{
	return file->exposed;
}
