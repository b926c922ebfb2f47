//! The operations of S3, as data: what selects each, and what it touches.
//!
//! From the S3 API reference, by way of botocore's service model of 2006-03-01, with what Ceph
//! adds. One row an operation; what no row names is a write (see `classify`).

use crate::fence::Action;
use crate::fence::Action::{Read, Write};

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its name in the API reference.
    pub(super) name: &'static str,
    /// The method.
    pub(super) method: &'static str,
    /// What has to be addressed.
    pub(super) level: Level,
    /// The sub-resource in the query that selects it; empty for none.
    pub(super) selector: &'static str,
    /// A further name in the query that has to be there; empty for none.
    pub(super) with: &'static str,
    /// Whether it reads or writes.
    pub(super) action: Action,
    /// What it touches.
    pub(super) touches: Touches,
    /// What its body is.
    pub(super) body: BodyRole,
    /// Its name with a copy source; empty where it takes none.
    pub(super) copy: &'static str,
}

/// What a request addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Level {
    /// A bucket.
    Bucket,
    /// An object.
    Object,
    /// No bucket.
    Service,
}

/// Which paths an operation touches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Touches {
    /// The address and what `x-amz-rename-source` names.
    AddressAndRenamed,
    /// What is addressed.
    Address,
    /// Every key that the body names.
    Batch,
    /// The `prefix` in the query.
    Prefix,
}

/// What the body of a request is to the fence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyRole {
    /// The keys of a batch delete: to be read whole, bounded, before admission.
    DeleteBatch,
    /// None is expected.
    None,
    /// An object's data, streamed.
    Object,
    /// Something small that the store reads: XML, JSON.
    Other,
}

const fn row(
    name: &'static str,
    method: &'static str,
    level: Level,
    selector: &'static str,
    action: Action,
    body: BodyRole,
) -> Row {
    Row {
        name,
        method,
        level,
        selector,
        with: "",
        action,
        touches: Touches::Address,
        body,
        copy: "",
    }
}

impl Row {
    const fn with(self, with: &'static str) -> Self {
        Self { with, ..self }
    }

    const fn copying(self, copy: &'static str) -> Self {
        Self { copy, ..self }
    }

    const fn touching(self, touches: Touches) -> Self {
        Self { touches, ..self }
    }
}

use BodyRole::{DeleteBatch, None as NoBody, Object as Data, Other};
use Level::{Bucket, Object, Service};
use Touches::{AddressAndRenamed, Batch, Prefix};

/// Every operation. Where two rows differ in `with` alone, the one that has it comes first.
#[rustfmt::skip]
pub(super) const OPERATIONS: &[Row] = &[
    row("ListBuckets", "GET", Service, "", Read, NoBody),
    row("ListBuckets", "HEAD", Service, "", Read, NoBody),

    // Objects.
    row("GetObject", "GET", Object, "", Read, NoBody),
    row("HeadObject", "HEAD", Object, "", Read, NoBody),
    row("OptionsObject", "OPTIONS", Object, "", Read, NoBody),
    row("PutObject", "PUT", Object, "", Write, Data).copying("CopyObject"),
    row("DeleteObject", "DELETE", Object, "", Write, NoBody),
    row("AppendObject", "PUT", Object, "append", Write, Data),
    row("RenameObject", "PUT", Object, "renameObject", Write, NoBody).touching(AddressAndRenamed),
    row("SelectObjectContent", "POST", Object, "select", Read, Other).with("select-type"),
    row("RestoreObject", "POST", Object, "restore", Write, Other),
    row("GetObjectAttributes", "GET", Object, "attributes", Read, NoBody),
    row("GetObjectTorrent", "GET", Object, "torrent", Read, NoBody),
    row("GetObjectAcl", "GET", Object, "acl", Read, NoBody),
    row("PutObjectAcl", "PUT", Object, "acl", Write, Other),
    row("GetObjectTagging", "GET", Object, "tagging", Read, NoBody),
    row("PutObjectTagging", "PUT", Object, "tagging", Write, Other),
    row("DeleteObjectTagging", "DELETE", Object, "tagging", Write, NoBody),
    row("GetObjectRetention", "GET", Object, "retention", Read, NoBody),
    row("PutObjectRetention", "PUT", Object, "retention", Write, Other),
    row("GetObjectLegalHold", "GET", Object, "legal-hold", Read, NoBody),
    row("PutObjectLegalHold", "PUT", Object, "legal-hold", Write, Other),
    row("UpdateObjectEncryption", "PUT", Object, "encryption", Write, Other),

    // Multipart uploads.
    row("CreateMultipartUpload", "POST", Object, "uploads", Write, NoBody),
    row("UploadPart", "PUT", Object, "uploadId", Write, Data).with("partNumber").copying("UploadPartCopy"),
    row("ListParts", "GET", Object, "uploadId", Read, NoBody),
    row("CompleteMultipartUpload", "POST", Object, "uploadId", Write, Other),
    row("AbortMultipartUpload", "DELETE", Object, "uploadId", Write, NoBody),

    // Buckets.
    row("CreateBucket", "PUT", Bucket, "", Write, Other),
    row("DeleteBucket", "DELETE", Bucket, "", Write, NoBody),
    row("HeadBucket", "HEAD", Bucket, "", Read, NoBody),
    row("OptionsBucket", "OPTIONS", Bucket, "", Read, NoBody),
    row("DeleteObjects", "POST", Bucket, "delete", Write, DeleteBatch).touching(Batch),
    row("ListObjectsV2", "GET", Bucket, "", Read, NoBody).with("list-type").touching(Prefix),
    row("ListObjects", "GET", Bucket, "", Read, NoBody).touching(Prefix),
    row("ListObjectVersions", "GET", Bucket, "versions", Read, NoBody).touching(Prefix),
    row("ListMultipartUploads", "GET", Bucket, "uploads", Read, NoBody).touching(Prefix),

    // Their settings.
    row("GetBucketAbac", "GET", Bucket, "abac", Read, NoBody),
    row("PutBucketAbac", "PUT", Bucket, "abac", Write, Other),
    row("GetBucketAccelerateConfiguration", "GET", Bucket, "accelerate", Read, NoBody),
    row("PutBucketAccelerateConfiguration", "PUT", Bucket, "accelerate", Write, Other),
    row("GetBucketAcl", "GET", Bucket, "acl", Read, NoBody),
    row("PutBucketAcl", "PUT", Bucket, "acl", Write, Other),
    row("GetBucketAnalyticsConfiguration", "GET", Bucket, "analytics", Read, NoBody).with("id"),
    row("ListBucketAnalyticsConfigurations", "GET", Bucket, "analytics", Read, NoBody),
    row("PutBucketAnalyticsConfiguration", "PUT", Bucket, "analytics", Write, Other),
    row("DeleteBucketAnalyticsConfiguration", "DELETE", Bucket, "analytics", Write, NoBody),
    row("GetBucketCors", "GET", Bucket, "cors", Read, NoBody),
    row("PutBucketCors", "PUT", Bucket, "cors", Write, Other),
    row("DeleteBucketCors", "DELETE", Bucket, "cors", Write, NoBody),
    row("GetBucketEncryption", "GET", Bucket, "encryption", Read, NoBody),
    row("PutBucketEncryption", "PUT", Bucket, "encryption", Write, Other),
    row("DeleteBucketEncryption", "DELETE", Bucket, "encryption", Write, NoBody),
    row("GetBucketIntelligentTieringConfiguration", "GET", Bucket, "intelligent-tiering", Read, NoBody).with("id"),
    row("ListBucketIntelligentTieringConfigurations", "GET", Bucket, "intelligent-tiering", Read, NoBody),
    row("PutBucketIntelligentTieringConfiguration", "PUT", Bucket, "intelligent-tiering", Write, Other),
    row("DeleteBucketIntelligentTieringConfiguration", "DELETE", Bucket, "intelligent-tiering", Write, NoBody),
    row("GetBucketInventoryConfiguration", "GET", Bucket, "inventory", Read, NoBody).with("id"),
    row("ListBucketInventoryConfigurations", "GET", Bucket, "inventory", Read, NoBody),
    row("PutBucketInventoryConfiguration", "PUT", Bucket, "inventory", Write, Other),
    row("DeleteBucketInventoryConfiguration", "DELETE", Bucket, "inventory", Write, NoBody),
    row("GetBucketLifecycleConfiguration", "GET", Bucket, "lifecycle", Read, NoBody),
    row("PutBucketLifecycleConfiguration", "PUT", Bucket, "lifecycle", Write, Other),
    row("DeleteBucketLifecycle", "DELETE", Bucket, "lifecycle", Write, NoBody),
    row("GetBucketLocation", "GET", Bucket, "location", Read, NoBody),
    row("GetBucketLogging", "GET", Bucket, "logging", Read, NoBody),
    row("PutBucketLogging", "PUT", Bucket, "logging", Write, Other),
    row("GetBucketMetadataConfiguration", "GET", Bucket, "metadataConfiguration", Read, NoBody),
    row("CreateBucketMetadataConfiguration", "POST", Bucket, "metadataConfiguration", Write, Other),
    row("DeleteBucketMetadataConfiguration", "DELETE", Bucket, "metadataConfiguration", Write, NoBody),
    row("UpdateBucketMetadataInventoryTableConfiguration", "PUT", Bucket, "metadataInventoryTable", Write, Other),
    row("UpdateBucketMetadataJournalTableConfiguration", "PUT", Bucket, "metadataJournalTable", Write, Other),
    row("GetBucketMetadataTableConfiguration", "GET", Bucket, "metadataTable", Read, NoBody),
    row("CreateBucketMetadataTableConfiguration", "POST", Bucket, "metadataTable", Write, Other),
    row("DeleteBucketMetadataTableConfiguration", "DELETE", Bucket, "metadataTable", Write, NoBody),
    row("GetBucketMetricsConfiguration", "GET", Bucket, "metrics", Read, NoBody).with("id"),
    row("ListBucketMetricsConfigurations", "GET", Bucket, "metrics", Read, NoBody),
    row("PutBucketMetricsConfiguration", "PUT", Bucket, "metrics", Write, Other),
    row("DeleteBucketMetricsConfiguration", "DELETE", Bucket, "metrics", Write, NoBody),
    row("GetBucketNotificationConfiguration", "GET", Bucket, "notification", Read, NoBody),
    row("PutBucketNotificationConfiguration", "PUT", Bucket, "notification", Write, Other),
    row("GetObjectLockConfiguration", "GET", Bucket, "object-lock", Read, NoBody),
    row("PutObjectLockConfiguration", "PUT", Bucket, "object-lock", Write, Other),
    row("GetBucketOwnershipControls", "GET", Bucket, "ownershipControls", Read, NoBody),
    row("PutBucketOwnershipControls", "PUT", Bucket, "ownershipControls", Write, Other),
    row("DeleteBucketOwnershipControls", "DELETE", Bucket, "ownershipControls", Write, NoBody),
    row("GetBucketPolicy", "GET", Bucket, "policy", Read, NoBody),
    row("PutBucketPolicy", "PUT", Bucket, "policy", Write, Other),
    row("DeleteBucketPolicy", "DELETE", Bucket, "policy", Write, NoBody),
    row("GetBucketPolicyStatus", "GET", Bucket, "policyStatus", Read, NoBody),
    row("GetPublicAccessBlock", "GET", Bucket, "publicAccessBlock", Read, NoBody),
    row("PutPublicAccessBlock", "PUT", Bucket, "publicAccessBlock", Write, Other),
    row("DeletePublicAccessBlock", "DELETE", Bucket, "publicAccessBlock", Write, NoBody),
    row("GetBucketReplication", "GET", Bucket, "replication", Read, NoBody),
    row("PutBucketReplication", "PUT", Bucket, "replication", Write, Other),
    row("DeleteBucketReplication", "DELETE", Bucket, "replication", Write, NoBody),
    row("GetBucketRequestPayment", "GET", Bucket, "requestPayment", Read, NoBody),
    row("PutBucketRequestPayment", "PUT", Bucket, "requestPayment", Write, Other),
    row("GetBucketTagging", "GET", Bucket, "tagging", Read, NoBody),
    row("PutBucketTagging", "PUT", Bucket, "tagging", Write, Other),
    row("DeleteBucketTagging", "DELETE", Bucket, "tagging", Write, NoBody),
    row("GetBucketVersioning", "GET", Bucket, "versioning", Read, NoBody),
    row("PutBucketVersioning", "PUT", Bucket, "versioning", Write, Other),
    row("GetBucketWebsite", "GET", Bucket, "website", Read, NoBody),
    row("PutBucketWebsite", "PUT", Bucket, "website", Write, Other),
    row("DeleteBucketWebsite", "DELETE", Bucket, "website", Write, NoBody),
];

/// Names in a query that select no operation: they say which part, how many, in what form.
pub(super) const PARAMETERS: &[&str] = &[
    "allow-unordered",
    "bucket-region",
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "id",
    "key-marker",
    "list-type",
    "marker",
    "max-buckets",
    "max-directory-buckets",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "partNumber",
    "position",
    "prefix",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "select-type",
    "start-after",
    "upload-id-marker",
    "version-id-marker",
    "versionId",
    "x-id",
];

/// Whether a name in a query selects an operation.
pub(super) fn is_selector(name: &str) -> bool {
    OPERATIONS.iter().any(|row| !row.selector.is_empty() && row.selector == name)
}
