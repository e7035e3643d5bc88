// What operators may change without touching the plugin. Every setting has a default.

import { integer, string } from "./trainyard/schema.js";

export const settings = {
  image: string(
    "example.org/training-vowpal-wabbit:9.11.9",
    "Image",
    "Image of the trainer unless the job names its own. Holds `vw` and a shell.",
    { minLength: 1 },
  ),
  fetchImage: string(
    "example.org/aws-cli:2",
    "Fetch image",
    "Image that fetches the data before the training. Holds `aws` and a shell.",
    { minLength: 1 },
  ),
  runAsUser: integer(1000, "User", "User and group of the pods; not root.", {
    minimum: 1,
    maximum: 65_534,
  }),
  gpuResourceName: string("nvidia.com/gpu", "GPU resource", "Resource name of a GPU.", {
    minLength: 1,
  }),
  s3Region: string("us-east-1", "Region", "Region of the object storage."),
  s3Secret: string(
    "trainyard-s3",
    "Secret",
    "Secret in the job's namespace that holds the credentials of the object storage. Empty: the " +
      "pods get none, and must have an identity of their own.",
  ),
  s3AccessKey: string("access-key", "Access key", "Key of the access key within that Secret.", {
    minLength: 1,
  }),
  s3SecretKey: string("secret-key", "Secret key", "Key of the secret key within that Secret.", {
    minLength: 1,
  }),
};
