"""Every bound on what one end takes from the other: the table of docs/protocol.md, "Limits".

Owns: the numbers.  May import: nothing.

A bound stands where a stranger's input would else take memory, disk or time as it likes.  What is over one is
refused in a sentence with the code of its row, before anything is allocated for it.
"""

from __future__ import annotations

KIB, MIB = 1024, 1024 * 1024

# ---- a connection and a request ----------------------------------------------------------------------------
MAX_HEAD_BYTES = 16 * KIB  # request line and headers
MAX_HEADERS = 128
HEAD_SECONDS = 10.0  # from its first byte, or from the connection; to its end
IDLE_SECONDS = 100.0  # between two requests of a connection; longer than the proxies in use keep one
MAX_CONNECTIONS = 12_000
MAX_REQUESTS_A_USER = 200  # at once, long polls apart
MAX_POLLS_A_USER = 1_000
PACE_SECONDS = 30.0  # a sender that gives less than PACE_BYTES in this time is let go
PACE_BYTES = 300_000

# ---- a message -----------------------------------------------------------------------------------------------
MAX_MESSAGE_BYTES = 1 * MIB
MAX_BULK_MESSAGE_BYTES = 8 * MIB  # `missing` and `commit`
MAX_MESSAGE_DEPTH = 32
MAX_BATCH_FILES = 32  # of one run; more gains nothing, and others would wait for longer
MAX_RUNS = 256  # of one rule beside each other
MAX_NAME_PATTERNS = 50  # of one rule
MAX_NAME_PATTERN = 255  # characters
MAX_PARAMETERS = 256 * KIB  # characters, of what a block is told by its rule
MAX_ANSWER_BYTES = 64 * MIB  # what a client takes
MAX_PROBLEM_BYTES = 64 * KIB
MAX_PROBLEM_CHARACTERS = 2_000  # of its text that a client shows
MAX_ZSTD_WINDOW_BYTES = 8 * MIB  # what RFC 8878 asks every decoder to take

# ---- what messages hold --------------------------------------------------------------------------------------
MAX_BATCH_OPS = 1_000
MAX_MISSING_CHUNKS = 100_000
MAX_PAGE_NODES = 5_000
MAX_PAGE_MANIFEST_BYTES = 8 * MIB  # of the manifests in a page of the feed
MAX_WATCHED_VIEWS = 1_000
MAX_CONTENT_PARTS = 10_000
MAX_CONTENT_CHUNKS = 100_000  # of all parts of one request for content
WAIT_SECONDS = 50.0

# ---- sync codes ----------------------------------------------------------------------------------------------
MAX_CODE_SECONDS = 366 * 86_400
MAX_CODE_DEVICES = 1_000

# ---- chunks and manifests ------------------------------------------------------------------------------------
MAX_CHUNK_BYTES = 4 * MIB
MAX_DIRECT_CHUNKS = 2_000  # a manifest with more is itself stored as chunks ("indirect")
MAX_INDIRECT_BYTES = 64 * MIB  # of such a manifest, and of all of them in one batch: 1.8 million chunks
MAX_LINK_BYTES = 4_096

# ---- trees ---------------------------------------------------------------------------------------------------
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4_096
MAX_DEPTH = 128
MAX_FOLDER_CHILDREN = 1_000_000
MAX_SPACES = 10_000

# ---- the catalog ---------------------------------------------------------------------------------------------
MAX_LABEL_NAME = 60  # characters
MAX_LABEL_VALUE = 200  # characters
MAX_LABEL_VALUES = 20  # that people give one file under one name
MAX_LABELLED_FILES = 10_000  # of a folder that is labelled in one request
MAX_LABELS_AT_ONCE = 20_000  # files times values of one request: a second of a processor or two
MAX_LABELS_OF_A_FILE = 200  # names under which people say something of it
MAX_LABEL_KINDS = 200  # of a project, or a home
MAX_KIND_VALUES = 500
MAX_ATTRIBUTE_TEXT = 64  # characters, as DICOM's LO and UI
MAX_ATTRIBUTE_VALUES = 16  # of one attribute of a file
MAX_QUERY = 2_000  # characters of a search
MAX_QUERY_CONDITIONS = 50
MAX_QUERY_DEPTH = 10
MAX_COUNTED_VALUES = 100  # of one label, in counts
MAX_EXPORTED = 100_000  # lines of a table
MAX_COHORTS = 200  # of a project, or a home
MAX_COHORT_FILES = 100_000  # of one
MAX_FOUND = 500  # of a page of a search
