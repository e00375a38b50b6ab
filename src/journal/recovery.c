/* SPDX-License-Identifier: Apache-2.0
 *
 * What journal_open does with what it finds: classifies the files, takes the newest whole CHECKPOINT and
 * applies every whole group after it. Bodies of older messages are not looked at, so the time does not grow
 * with the backlog.
 *
 * A group that is not whole, with a whole one after it, was durable once: that is damage. Its segment is
 * copied to quarantine, what is lost is reported by lsn and by seq, and everything else is kept. A group that
 * is not whole with nothing after it is the tail: unfinished when the process ended, or the last group
 * damaged; nobody can tell. Damage never makes this fail, unless options.strict says so.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "journal/identity.h"
#include "journal/journal_impl.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"

struct file_list {
	uint64_t *v;
	size_t n, capacity;
	uint64_t temporary[16]; /* half-made spares to remove */
	size_t n_temporary;
};

struct recovery {
	struct journal *j;
	struct scan scan;
	struct segment *seg; /* being replayed */
	int handle;
	uint64_t offset; /* in it */
	uint64_t expected; /* lsn */
	bool damaged, sealed;
	size_t unreadable; /* files without a whole header */
	uint64_t lost_frames; /* of which not even the type is known, since next_seqs were noted */
	uint64_t *seqs_at_damage;
	size_t n_seqs;
};

/* --- files
 * ---------------------------------------------------------------------------------------------------------
 */

static int note_file(const char *name, void *arg)
{
	struct file_list *files = arg;
	uint64_t file;
	if (segment_parse_name(name, &file) < 0) {
		size_t len = strlen(name);
		if (len == 24 && strcmp(name + 20, ".tmp") == 0 && files->n_temporary < 16)
			files->temporary[files->n_temporary++] = strtoull(name, NULL, 10);
		return 0;
	}
	if (files->n == files->capacity) {
		size_t capacity = files->capacity ? files->capacity * 2 : 16;
		uint64_t *v = realloc(files->v, capacity * sizeof *v);
		if (!v)
			return -ENOMEM;
		files->v = v;
		files->capacity = capacity;
	}
	files->v[files->n++] = file;
	return 0;
}

static void remove_temporary(struct disk *disk, uint64_t file)
{
	char path[SEGMENT_PATH_LEN];
	segment_path(path, file);
	memcpy(path + strlen(path) - 3, "tmp", 3);
	disk->ops->unlink(disk, path);
}

static bool strictly(const struct recovery *rec)
{
	return rec->j->options.strict && rec->damaged;
}

/* Sorted by number. A number that is there twice is a copied file: the second is put aside. */
static int insert_segment(struct recovery *rec, struct segment *seg)
{
	struct segment **link = &rec->j->segments;
	while (*link && (*link)->number < seg->number)
		link = &(*link)->next;
	if (*link && (*link)->number == seg->number) {
		log_error("journal_damage",
			"segment=%" PRIu64 " file=%020" PRIu64 " what=\"a second file has the same number: put aside\"",
			seg->number, seg->file);
		rec->damaged = true;
		int r = quarantine_move(rec->j, seg->file);
		free(seg);
		return r;
	}
	seg->next = *link;
	*link = seg;
	rec->j->n_segments++;
	return 0;
}

static int add_segment(struct recovery *rec, uint64_t file, const struct segment_header *header, uint64_t size)
{
	struct segment *seg = calloc(1, sizeof *seg);
	if (!seg)
		return -ENOMEM;
	*seg = (struct segment){.number = header->number,
		.base_lsn = header->base_lsn,
		.salt = header->salt,
		.bytes = size,
		.file = file,
		.end_lsn = UINT64_MAX,
		.limit = size};
	return insert_segment(rec, seg);
}

static int put_aside(struct recovery *rec, uint64_t file, const char *what)
{
	rec->damaged = true;
	rec->unreadable++;
	log_error("journal_damage",
		"file=%020" PRIu64 " offset=0 what=\"%s: what was in it is lost; the file is moved to quarantine\"",
		file, what);
	return quarantine_move(rec->j, file);
}

static int classify(struct recovery *rec, uint64_t file, const struct identity *id, bool have_id,
	uint8_t uuid[JOURNAL_UUID_LEN], bool *have_uuid)
{
	struct journal *j = rec->j;
	char path[SEGMENT_PATH_LEN];
	segment_path(path, file);
	int handle = j->disk->ops->open(j->disk, path, DISK_READ);
	if (handle < 0)
		return handle;
	struct segment_header header;
	int r = segment_read_header(j->disk, handle, SEGMENT_JOURNAL, &header);
	int64_t size = j->disk->ops->size(j->disk, handle);
	j->disk->ops->close(j->disk, handle);
	if (size < 0)
		return (int)size;
	if (r == -ENODATA && (uint64_t)size == j->segment_bytes) {
		prepare_add_spare(j, file);
		return 0;
	}
	if (r == -ENODATA || (r == -EBADMSG && size == 0)) { /* of another size: not worth keeping */
		prepare_add_trash(j, file);
		return 0;
	}
	if (r == -ENOTSUP) {
		log_error("journal_open", "file=%s what=\"written by a newer linkspan: use that one\"", path);
		return r;
	}
	if (r < 0)
		return put_aside(rec, file, "the header cannot be read");
	const uint8_t *owner = have_id ? id->uuid : uuid;
	if ((have_id || *have_uuid) && memcmp(header.uuid, owner, JOURNAL_UUID_LEN) != 0) {
		log_error("journal_open",
			"file=%s what=\"this segment belongs to another instance: the data folder mixes two. "
			"Restore the "
			"right copy, or move data/journal and data/id away to start empty\"",
			path);
		return -ESTALE;
	}
	memcpy(uuid, header.uuid, JOURNAL_UUID_LEN);
	*have_uuid = true;
	return add_segment(rec, file, &header, (uint64_t)size);
}

/* The id file against what the segments say. */
static int check_identity(struct recovery *rec, int id_error, struct identity *id, bool have_uuid, const uint8_t *uuid)
{
	struct journal *j = rec->j;
	uint64_t newest = 0;
	for (const struct segment *seg = j->segments; seg; seg = seg->next)
		newest = seg->number;
	if (id_error < 0 && have_uuid) {
		log_error("journal_damage", "file=id error=\"%s\" what=\"rebuilt from the segments\"",
			strerror(-id_error));
		rec->damaged = true;
		memcpy(id->uuid, uuid, JOURNAL_UUID_LEN);
		id->segment = newest;
	} else if (id_error < 0) {
		uint64_t random[2] = {journal_random(), journal_random()};
		memcpy(id->uuid, random, sizeof random);
		id->segment = 0;
	} else if (newest < id->segment && rec->unreadable == 0) {
		log_error("journal_open",
			"newest_segment=%" PRIu64 " expected=%" PRIu64
			" what=\"data/journal is older than data/id: a restored copy, or files were removed. "
			"Restore the "
			"whole data folder, or move data/journal and data/id away to start empty\"",
			newest, id->segment);
		return -ESTALE;
	}
	memcpy(j->uuid, id->uuid, JOURNAL_UUID_LEN);
	if (j->next_number <= newest)
		j->next_number = newest + 1;
	if (j->next_number <= id->segment)
		j->next_number = id->segment + 1;
	return 0;
}

static int find_files(struct recovery *rec, struct identity *id)
{
	struct journal *j = rec->j;
	int id_error = identity_read(j->disk, id);
	if (id_error == -ENOTSUP) {
		log_error("journal_open", "file=id what=\"written by a newer linkspan: use that one\"");
		return id_error;
	}
	if (id_error < 0 && id_error != -ENOENT && id_error != -EBADMSG)
		return id_error;
	struct file_list files = {0};
	uint8_t uuid[JOURNAL_UUID_LEN] = {0};
	bool have_uuid = false;
	int r = j->disk->ops->list(j->disk, "journal", note_file, &files);
	for (size_t i = 0; i < files.n_temporary; i++)
		remove_temporary(j->disk, files.temporary[i]);
	for (size_t i = 0; r == 0 && i < files.n; i++) {
		if (files.v[i] >= j->next_file)
			j->next_file = files.v[i] + 1;
		r = classify(rec, files.v[i], id, id_error == 0, uuid, &have_uuid);
	}
	free(files.v);
	return r < 0 ? r : check_identity(rec, id_error, id, have_uuid, uuid);
}

/* --- checkpoints
 * ----------------------------------------------------------------------------------------------------- */

static int open_segment_file(struct recovery *rec, struct segment *seg)
{
	if (rec->handle >= 0)
		rec->j->disk->ops->close(rec->j->disk, rec->handle);
	char path[SEGMENT_PATH_LEN];
	segment_path(path, seg->file);
	rec->handle = rec->j->disk->ops->open(rec->j->disk, path, DISK_WRITE);
	if (rec->handle < 0)
		return rec->handle;
	rec->seg = seg;
	scan_begin(&rec->scan, rec->j->disk, rec->handle, seg->salt, seg->bytes);
	return 0;
}

/* The next seqs that a CHECKPOINT tells. */
static int note_starts(struct segment *seg, struct slice records)
{
	struct frame record;
	int r;
	while ((r = frame_next_record(&records, &record)) > 0) {
		if (record.type == FRAME_BASE && !seg->starts && record.dest < UINT16_MAX) {
			seg->n_starts = (size_t)record.dest;
			seg->starts = malloc((seg->n_starts + 1) * sizeof *seg->starts);
			for (size_t i = 0; seg->starts && i < seg->n_starts; i++)
				seg->starts[i] = 1;
		}
		if (record.type == FRAME_OUTBOX && seg->starts && record.dest < seg->n_starts)
			seg->starts[record.dest] = record.seq;
	}
	return r;
}

/* Finds the CHECKPOINT at the head of a segment, the first or its copy. 0 with its place, or -ENOENT. */
static int find_checkpoint(struct recovery *rec, struct segment *seg, uint64_t *ret_offset)
{
	struct frame frame;
	uint64_t offset = SEGMENT_BLOCK;
	for (int copy = 0; copy < 2; copy++) {
		if (copy && scan_resync(&rec->scan, offset + 1, seg->base_lsn, seg->end_lsn, &offset) < 0)
			return -ENOENT;
		if (scan_frame(&rec->scan, offset, &frame) == 0 && frame.type == FRAME_CHECKPOINT &&
			frame.lsn >= seg->base_lsn && frame.lsn < seg->end_lsn && note_starts(seg, frame.body) == 0) {
			*ret_offset = offset;
			return 0;
		}
	}
	return -ENOENT;
}

/* Reads the head of every segment; *ret_seg is the newest with a whole CHECKPOINT group. */
static int find_newest_checkpoint(struct recovery *rec, struct segment **ret_seg, uint64_t *ret_offset)
{
	for (struct segment *seg = rec->j->segments; seg; seg = seg->next) {
		if (seg->next)
			seg->end_lsn = seg->next->base_lsn;
		rec->j->newest = seg;
		int r = open_segment_file(rec, seg);
		if (r < 0)
			return r;
		uint64_t offset;
		struct scan_group group;
		if (find_checkpoint(rec, seg, &offset) == 0 && scan_group(&rec->scan, offset, &group) == 0) {
			*ret_seg = seg;
			*ret_offset = offset;
			rec->expected = group.first_lsn;
			seg->checkpointed = true;
		}
	}
	return 0;
}

/* --- replay
 * ----------------------------------------------------------------------------------------------------------
 */

static void on_missing(void *arg, uint32_t dest, uint64_t first, uint64_t last)
{
	struct recovery *rec = arg;
	struct journal *j = rec->j;
	const struct state_dest *box = state_dest(&j->state, dest);
	j->damaged_messages += last - first + 1;
	rec->damaged = true;
	log_error("journal_damage",
		"segment=%" PRIu64 " offset=%" PRIu64 " destination=%s first_seq=%" PRIu64 " last_seq=%" PRIu64
		" what=\"these messages are lost\"",
		rec->seg->number, rec->offset, box ? box->name : "?", first, last);
}

static void apply_frame(struct recovery *rec, const struct frame *frame)
{
	if (frame->type == FRAME_CHECKPOINT)
		rec->lost_frames = 0; /* it tells the next seqs */
	rec->sealed = frame->type == FRAME_SEAL;
	int r = state_apply(&rec->j->state, frame);
	if (r == 0)
		return;
	rec->damaged = true;
	log_error("journal_damage",
		"segment=%" PRIu64 " lsn=%" PRIu64
		" type=%s error=\"%s\" what=\"a frame that makes no sense, ignored\"",
		rec->seg->number, frame->lsn, frame_type_name(frame->type), strerror(-r));
}

static int apply_group(struct recovery *rec, const struct scan_group *group)
{
	struct frame frame;
	for (uint64_t at = group->offset;; at += frame.length) {
		int r = scan_frame(&rec->scan, at, &frame);
		if (r < 0)
			return r;
		if (frame.type == FRAME_COMMIT)
			return 0;
		apply_frame(rec, &frame);
	}
}

static void note_seqs(struct recovery *rec)
{
	const struct state *state = &rec->j->state;
	if (rec->lost_frames)
		return;
	free(rec->seqs_at_damage);
	rec->n_seqs = state->n_dests;
	rec->seqs_at_damage = malloc((state->n_dests + 1) * sizeof *rec->seqs_at_damage);
	for (size_t i = 0; rec->seqs_at_damage && i < rec->n_seqs; i++)
		rec->seqs_at_damage[i] = state->dests[i].next_seq;
}

/* Between two whole groups there is a damaged one, which was durable once: its frames that are still whole
 * count. Walks from the current offset to `end`, over one bad frame at a time as long as its length leads to
 * a good one. */
static void salvage(struct recovery *rec, uint64_t end_offset, uint64_t end_lsn)
{
	uint64_t at = rec->offset, lsn = rec->expected, kept = 0;
	bool bad = false; /* the frame before was */
	note_seqs(rec);
	while (at < end_offset && lsn < end_lsn) {
		struct frame frame;
		uint64_t ignored;
		uint32_t length;
		if (scan_frame(&rec->scan, at, &frame) == 0) {
			bool commit = frame.type == FRAME_COMMIT;
			if (frame.lsn != lsn - commit)
				break;
			at = commit ? segment_pad(at + frame.length) : at + frame.length;
			lsn += !commit;
			kept += !commit;
			bad = false;
			if (!commit)
				apply_frame(rec, &frame);
		} else if (!bad && scan_peek(&rec->scan, at, &ignored, &length) == 0 && length >= FRAME_HEADER_LEN) {
			bad = true;
			at += length;
			lsn++;
		} else {
			break;
		}
	}
	uint64_t lost = end_lsn - rec->expected - kept;
	rec->lost_frames += lost;
	rec->j->stats.damaged_frames += lost;
	rec->damaged = true;
	log_error("journal_damage",
		"segment=%" PRIu64 " offset=%" PRIu64 " end_offset=%" PRIu64 " first_lsn=%" PRIu64 " last_lsn=%" PRIu64
		" frames=%" PRIu64 " lost=%" PRIu64
		" what=\"a durable group is damaged; its segment is copied to quarantine\"",
		rec->seg->number, rec->offset, end_offset, rec->expected, end_lsn - 1, end_lsn - rec->expected, lost);
	quarantine_segment(rec->j, rec->seg->file, rec->seg->number);
	rec->seg->quarantined = true;
}

static void end_of_journal(struct recovery *rec)
{
	uint64_t lsn = 0;
	uint32_t length = 0;
	bool begun = scan_peek(&rec->scan, rec->offset, &lsn, &length) == 0 && lsn == rec->expected;
	rec->seg->limit = rec->offset;
	if (rec->sealed)
		return;
	if (begun)
		log_warn("journal_tail",
			"segment=%" PRIu64 " offset=%" PRIu64 " after_lsn=%" PRIu64
			" what=\"the last group is not whole: unfinished when the process ended, or "
			"damaged\"",
			rec->seg->number, rec->offset, rec->expected - 1);
	else
		log_info("journal_tail",
			"segment=%" PRIu64 " offset=%" PRIu64 " after_lsn=%" PRIu64
			" what=\"the journal ends without a seal\"",
			rec->seg->number, rec->offset, rec->expected - 1);
}

static int replay_segment(struct recovery *rec)
{
	const struct segment *seg = rec->seg;
	while (rec->expected < seg->end_lsn) {
		struct scan_group group;
		int r = scan_group(&rec->scan, rec->offset, &group);
		if (r == 0 && group.first_lsn == rec->expected && group.last_lsn < seg->end_lsn)
			r = apply_group(rec, &group);
		else if (r != -ENOMEM)
			r = -EBADMSG; /* a sector that cannot be read is damage too */
		if (r == 0) {
			rec->expected = group.last_lsn + 1;
			rec->offset = group.end;
			continue;
		}
		if (r == -ENOMEM)
			return r;
		uint64_t next;
		struct frame frame;
		if (scan_resync(&rec->scan, rec->offset + 1, rec->expected + 1, seg->end_lsn, &next) == 0 &&
			scan_frame(&rec->scan, next, &frame) == 0) {
			uint64_t lsn = frame.lsn;
			salvage(rec, next, lsn);
			rec->offset = next;
			rec->expected = lsn;
		} else if (seg->end_lsn != UINT64_MAX) {
			salvage(rec, seg->bytes, seg->end_lsn);
			rec->expected = seg->end_lsn;
		} else {
			end_of_journal(rec);
			return 0;
		}
	}
	return 0;
}

/* Frames are lost of which nobody knows what they were. Seqs that they may have used are not given again. */
static int skip_lost_seqs(struct recovery *rec)
{
	struct state *state = &rec->j->state;
	for (size_t i = 0; rec->lost_frames && rec->seqs_at_damage && i < rec->n_seqs && i < state->n_dests; i++) {
		struct state_dest *dest = &state->dests[i];
		if (!dest->name || dest->next_seq != rec->seqs_at_damage[i])
			continue;
		uint64_t first = dest->next_seq;
		dest->next_seq += rec->lost_frames;
		dest->waiting += rec->lost_frames;
		int r = state_mark_done(dest, first, dest->next_seq - 1, 0, JOURNAL_LOST);
		if (r < 0)
			return r;
		log_error("journal_damage",
			"destination=%s first_seq=%" PRIu64 " last_seq=%" PRIu64
			" what=\"the damaged frames may have been messages with these numbers: left out\"",
			dest->name, first, dest->next_seq - 1);
	}
	return 0;
}

/* The same for the streams of numbered messages: whoever reads one sees a gap where something may have been lost. */
static void skip_lost_sequences(struct recovery *rec)
{
	struct sequences *sequences = &rec->j->state.sequences;
	if (!rec->lost_frames || !sequences->n)
		return;
	sequences_skip(sequences, rec->lost_frames);
	log_error("journal_damage",
		"streams=%zu skipped=%" PRIu64 " what=\"the damaged frames may have been numbered messages: as many "
		"numbers of each stream are left out\"",
		sequences->n, rec->lost_frames);
}

static int replay(struct recovery *rec)
{
	struct journal *j = rec->j;
	struct segment *from = NULL;
	uint64_t offset = SEGMENT_BLOCK;
	int r = find_newest_checkpoint(rec, &from, &offset);
	if (r < 0 || !j->segments)
		return r;
	if (!from) {
		from = j->segments;
		rec->expected = from->base_lsn;
		if (from->number > 1) {
			rec->damaged = true;
			log_error("journal_damage",
				"segment=%" PRIu64 " offset=%u what=\"there is no whole CHECKPOINT: state is lost\"",
				j->newest->number, SEGMENT_BLOCK);
		}
	} else if (offset != SEGMENT_BLOCK) {
		rec->damaged = true;
		log_error("journal_damage",
			"segment=%" PRIu64 " offset=%u what=\"the CHECKPOINT is damaged; its copy is used\"",
			from->number, SEGMENT_BLOCK);
		quarantine_segment(j, from->file, from->number);
	}
	j->state.on_missing = on_missing;
	j->state.arg = rec;
	for (struct segment *seg = from; r == 0 && seg; seg = seg->next, offset = SEGMENT_BLOCK) {
		r = open_segment_file(rec, seg);
		if (r < 0)
			break;
		if (seg->base_lsn > rec->expected) { /* segments are missing in between */
			rec->offset = SEGMENT_BLOCK;
			salvage(rec, SEGMENT_BLOCK, seg->base_lsn);
			rec->expected = seg->base_lsn;
		}
		rec->offset = offset;
		r = replay_segment(rec);
	}
	if (r == 0)
		r = skip_lost_seqs(rec);
	if (r == 0)
		skip_lost_sequences(rec);
	j->state.on_missing = NULL;
	return r;
}

/* --- durability
 * -------------------------------------------------------------------------------------------------------- */

/* What was read may be in the page cache only: nothing may depend on it before this. */
static int sync_segments(struct recovery *rec)
{
	struct journal *j = rec->j;
	int r = 0;
	for (struct segment *seg = j->segments; r == 0 && seg; seg = seg->next) {
		r = open_segment_file(rec, seg);
		FAILPOINT("journal.recovery_before_fdatasync");
		if (r == 0)
			r = j->disk->ops->fdatasync(j->disk, rec->handle);
		FAILPOINT("journal.recovery_after_fdatasync");
		if (r < 0)
			log_error("journal_open",
				"file=%020" PRIu64 " error=\"%s\" what=\"the disk cannot make a segment "
				"durable: check the disk, "
				"copy the data folder to a good one\"",
				seg->file, strerror(-r));
	}
	if (r == 0)
		r = j->disk->ops->sync_dir(j->disk, "journal");
	return r;
}

static int make_folders(struct journal *j)
{
	static const char *const folders[] = {"journal", "outbox", "dead", "quarantine"};
	int r = 0;
	for (size_t i = 0; r == 0 && i < sizeof folders / sizeof folders[0]; i++)
		r = j->disk->ops->mkdir(j->disk, folders[i]);
	return r < 0 ? r : j->disk->ops->sync_dir(j->disk, "");
}

int recovery_run(struct journal *j)
{
	struct recovery rec = {.j = j, .handle = -1, .expected = 1};
	struct identity id = {.segment = 0};
	int r = make_folders(j);
	if (r == 0)
		r = find_files(&rec, &id);
	if (r == 0)
		r = replay(&rec);
	if (r == 0)
		r = overflow_recover(j, &rec.damaged);
	if (r == 0 && strictly(&rec)) {
		log_error("journal_open", "what=\"the journal is damaged, and --strict is set. Without it "
					  "linkspan goes on with what is left\"");
		r = -EBADMSG;
	}
	if (r == 0)
		r = sync_segments(&rec);
	if (r == 0)
		r = identity_write(j->disk, &id);
	if (rec.handle >= 0)
		j->disk->ops->close(j->disk, rec.handle);
	scan_end(&rec.scan);
	free(rec.seqs_at_damage);
	j->appended_lsn = rec.expected - 1;
	j->durable_lsn = j->reported_lsn = j->appended_lsn;
	return r;
}
