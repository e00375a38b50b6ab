# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	connectors/kafka/connection.c \
	connectors/kafka/connection.h \
	connectors/kafka/consumer.c \
	connectors/kafka/consumer.h \
	connectors/kafka/consumer_conf.c \
	connectors/kafka/consumer_conf.h \
	connectors/kafka/consumer_group.c \
	connectors/kafka/consumer_impl.h \
	connectors/kafka/consumer_start.c \
	connectors/kafka/consumer_topics.c \
	connectors/kafka/convert.c \
	connectors/kafka/convert.h \
	connectors/kafka/deliver.c \
	connectors/kafka/from.c \
	connectors/kafka/from.h \
	connectors/kafka/handover.c \
	connectors/kafka/handover.h \
	connectors/kafka/kafka.c \
	connectors/kafka/kafka.h \
	connectors/kafka/link.c \
	connectors/kafka/link.h \
	connectors/kafka/part.h \
	connectors/kafka/partitions.c \
	connectors/kafka/partitions.h \
	connectors/kafka/pending.c \
	connectors/kafka/pending.h \
	connectors/kafka/producer.c \
	connectors/kafka/producer.h \
	connectors/kafka/record.c \
	connectors/kafka/record.h \
	connectors/kafka/security.c \
	connectors/kafka/security.h \
	connectors/kafka/settings.c \
	connectors/kafka/settings.h \
	connectors/kafka/source.c \
	connectors/kafka/source.h \
	connectors/kafka/topics.c \
	connectors/kafka/topics.h \
	connectors/kafka/verdict.c \
	connectors/kafka/verdict.h \
	connectors/kafka/wake.c \
	connectors/kafka/wake.h
nobase_dist_doc_DATA += connectors/kafka/README.md
