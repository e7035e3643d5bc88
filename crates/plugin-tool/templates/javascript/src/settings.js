// What operators may change without touching the plugin. Every setting has a default.

import { string } from "./trainyard/schema.js";

export const settings = {
  image: string(
    "example.org/template-name:1.0.0",
    "Image",
    "Image of the pods unless the job names its own. Holds the training program.",
    { minLength: 1 },
  ),
  entrypoint: string(
    "python /app/train.py",
    "Entrypoint",
    "Command of the pods unless the job names its own.",
    { minLength: 1 },
  ),
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
