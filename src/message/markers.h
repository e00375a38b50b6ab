/* SPDX-License-Identifier: Apache-2.0
 *
 * Gap and delay markers (`markers: true` of a mapping): headers by which who reads from a destination can tell how long
 * a message was under way and prove that none is missing. This is their names and their text; who numbers is
 * runtime/marking.h, and what counts is kept by the journal. Pure functions on views; any thread.
 *
 *   linkspan-origin-time  when a linkspan received it first: RFC 3339, UTC, milliseconds. One that is there already and
 *                         has that form is kept.
 *   linkspan-source       the source connection.
 *   linkspan-stream       32 hexadecimal digits: whose numbers these are. The same for the same data folder, source,
 *                         mapping, destination, target (topic or path) and order key, for ever.
 *   linkspan-sequence     decimal, from 1 in each stream, without gaps as they are given. A repetition has the same.
 *   linkspan-waited-ms    decimal: from when this linkspan received it to this attempt to send it.
 */
#ifndef LINKSPAN_MESSAGE_MARKERS_H
#define LINKSPAN_MESSAGE_MARKERS_H

#include "message/message.h"

#define MARKER_ORIGIN_TIME "linkspan-origin-time"
#define MARKER_SOURCE      "linkspan-source"
#define MARKER_STREAM      "linkspan-stream"
#define MARKER_SEQUENCE    "linkspan-sequence"
#define MARKER_WAITED      "linkspan-waited-ms"

#define MARKERS_MOST     5 /* headers that a message gets, the one at the sink included */
#define MARKERS_TIME_LEN 24 /* 2026-11-25T22:58:34.123Z */

/* The texts of one message; slices that live as long as the view is used. */
struct markers {
	struct slice origin_time, source, stream;
	struct slice sequence; /* absent: it has no number, and so no stream either */
};

/* Writes MARKERS_TIME_LEN characters and a NUL. */
void markers_time(uint64_t wall_ms, char ret_text[MARKERS_TIME_LEN + 1]);
/* The origin time that the received headers bring, absent if none has the right form. */
struct slice markers_received_time(const struct message_view *view);

/* Sets the markers in place of all headers of their names, and `waits`: each sink that carries headers then adds
 * markers_waited(). `headers`: room for n_headers + MARKERS_MOST; they are the view's then. False, and nothing has
 * happened, where that would pass a limit of messages. */
bool markers_write(struct message_view *view, const struct markers *markers, struct message_field *headers)
	__attribute__((warn_unused_result));

#define MARKERS_WAITED_SIZE 21 /* of its text */
/* The header that a sink adds when it sends a view with `waits`; wall_ms: loop_wall_ms now. The value is in `text`. */
struct message_field markers_waited(const struct message_view *view, uint64_t wall_ms, char text[MARKERS_WAITED_SIZE]);

#endif
