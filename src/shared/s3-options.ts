/** How a bucket of S3, or of a service that speaks its protocol, is reached. */

/** What is not given comes from where the AWS SDK looks by itself: environment, profiles, roles. */
export interface S3Options {
  /** URL of a service other than AWS, as 'http://127.0.0.1:9000'. */
  endpoint?: string
  /** Default: what the SDK finds; with an endpoint, else 'us-east-1'. */
  region?: string
  /** The bucket in the path of the URL rather than in the name of the host. Default false. */
  forcePathStyle?: boolean
  /** Kept in memory only: never logged, and in no message. */
  credentials?: {
    accessKeyId: string
    secretAccessKey: string
    /** Of temporary credentials. */
    sessionToken?: string
  }
}

/** A part of a bucket. */
export interface S3Location {
  readonly bucket: string
  /** Stands before every key: empty, or ends with a slash. */
  readonly prefix: string
  readonly options: S3Options
}
